// SPDX-License-Identifier: Apache-2.0
//
// Nibbles by rANS, escapes by a Rice code.

#include "framework/format/sparse/sparse_entropy.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_rans.hpp"

namespace tessera::format {
namespace {

constexpr size_t kFrequenciesAt = 16;
constexpr size_t kEscapeMinAt = 40;
constexpr size_t kRiceBitsAt = 41;
constexpr size_t kNumWordsAt = 42;
constexpr size_t kStatesAt = 44;
constexpr size_t kWordsAt = 60;
constexpr uint32_t kMaxRiceBits = 7;
constexpr uint8_t kEscape = 15;

Status bad(const std::string& why) { return Status(TSR_INVALID_ARGUMENT, why); }

uint32_t magnitude(int8_t code) {
  return static_cast<uint32_t>(std::abs(int{code}));
}

// ---- Bits ------------------------------------------------------------------

class BitWriter {
 public:
  void write(uint32_t value, uint32_t num_bits) {
    for (uint32_t i = 0; i < num_bits; ++i) {
      if (num_bits_ % 8 == 0) bytes_.push_back(std::byte{0});
      bytes_.back() |=
          static_cast<std::byte>((value >> i & 1U) << num_bits_ % 8);
      ++num_bits_;
    }
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  size_t num_bits_ = 0;
};

// Reads zeros behind the end; used_exactly() tells.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint32_t read(uint32_t num_bits) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < num_bits; ++i, ++next_) {
      if (next_ / 8 >= bytes_.size()) continue;
      const auto byte = std::to_integer<uint32_t>(bytes_[next_ / 8]);
      value |= (byte >> next_ % 8 & 1U) << i;
    }
    return value;
  }
  // True if the rest of the last byte read is zero and the last there is.
  bool used_exactly() {
    if ((next_ + 7) / 8 != bytes_.size()) return false;
    const auto spare = static_cast<uint32_t>(8 * bytes_.size() - next_);
    return read(spare) == 0;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t next_ = 0;
};

// ---- Escapes ---------------------------------------------------------------

struct RiceCode {
  uint32_t min = 0;
  uint32_t bits = 0;
};

RiceCode choose_rice_code(std::span<const int8_t> escapes) {
  RiceCode best;
  if (escapes.empty()) return best;
  best.min = magnitude(*std::min_element(
      escapes.begin(), escapes.end(),
      [](int8_t a, int8_t b) { return magnitude(a) < magnitude(b); }));
  uint64_t fewest = std::numeric_limits<uint64_t>::max();
  for (uint32_t bits = 0; bits <= kMaxRiceBits; ++bits) {
    uint64_t total = 0;
    for (const int8_t code : escapes) {
      total += (magnitude(code) - best.min) >> bits;
    }
    total += uint64_t{bits} * escapes.size();
    if (total < fewest) {
      fewest = total;
      best.bits = bits;
    }
  }
  return best;
}

std::vector<std::byte> write_escapes(std::span<const int8_t> escapes,
                                     const RiceCode& rice) {
  BitWriter writer;
  for (const int8_t code : escapes) {
    const uint32_t rest = magnitude(code) - rice.min;
    writer.write(code < 0 ? 1 : 0, 1);
    for (uint32_t i = 0; i < rest >> rice.bits; ++i) writer.write(1, 1);
    writer.write(0, 1);
    writer.write(rest, rice.bits);
  }
  return writer.bytes();
}

// Appends `count` escapes.
Status read_escapes(std::span<const std::byte> bytes, const RiceCode& rice,
                    size_t count, std::vector<std::byte>& out_fixed) {
  BitReader reader(bytes);
  for (size_t i = 0; i < count; ++i) {
    const bool negative = reader.read(1) == 1;
    uint32_t quotient = 0;
    while (reader.read(1) == 1) ++quotient;
    const uint64_t value =
        rice.min + (uint64_t{quotient} << rice.bits) + reader.read(rice.bits);
    if (value > (negative ? 128 : 127)) {
      return bad("an escape of magnitude " + std::to_string(value));
    }
    const auto byte = static_cast<uint8_t>(negative ? 256 - value : value);
    out_fixed.push_back(static_cast<std::byte>(byte));
  }
  if (!reader.used_exactly()) return bad("escapes do not end with its bytes");
  return {};
}

// ---- One tile --------------------------------------------------------------

void append_tile(std::span<const std::byte> fixed, const SparseTileShape& shape,
                 std::vector<std::byte>& out_bytes) {
  std::vector<uint8_t> symbols;
  symbols.reserve(shape.elements());
  for (uint32_t r = 0; r < shape.rows; ++r) {
    const size_t row = kSparseBookBytes + size_t{r} * ((shape.cols + 1) / 2);
    for (uint32_t c = 0; c < shape.cols; ++c) {
      symbols.push_back(static_cast<uint8_t>(nibble(&fixed[row], c)));
    }
  }
  const auto num_escapes =
      static_cast<size_t>(std::count(symbols.begin(), symbols.end(), kEscape));
  std::vector<int8_t> escapes(num_escapes);
  if (num_escapes > 0) {
    std::memcpy(escapes.data(), &fixed[shape.fixed_head_bytes()], num_escapes);
  }

  const RansStream rans = encode_rans(symbols);
  const RiceCode rice = choose_rice_code(escapes);
  const std::vector<std::byte> escape_bytes = write_escapes(escapes, rice);
  BitWriter frequencies;
  for (const uint16_t f : rans.frequencies) frequencies.write(f, 12);

  const size_t begin = out_bytes.size();
  out_bytes.resize(begin + kWordsAt);
  std::byte* const tile = &out_bytes[begin];
  std::memcpy(tile, fixed.data(), kSparseBookBytes);
  std::copy(frequencies.bytes().begin(), frequencies.bytes().end(),
            tile + kFrequenciesAt);
  tile[kEscapeMinAt] = static_cast<std::byte>(rice.min);
  tile[kRiceBitsAt] = static_cast<std::byte>(rice.bits);
  store_element(tile + kNumWordsAt, 0,
                static_cast<uint16_t>(rans.words.size()));
  std::memcpy(tile + kStatesAt, rans.states.data(), sizeof(rans.states));
  const auto words = std::as_bytes(std::span(rans.words));
  out_bytes.insert(out_bytes.end(), words.begin(), words.end());
  out_bytes.insert(out_bytes.end(), escape_bytes.begin(), escape_bytes.end());
}

// What stands before the words, checked against the size of the tile.
struct EntropyHead {
  RansFrequencies frequencies{};
  std::array<uint32_t, kRansLanes> states{};
  RiceCode rice;
  size_t word_bytes = 0;
};

Result<EntropyHead> read_head(std::span<const std::byte> tile) {
  if (tile.size() < kWordsAt) {
    return bad(std::to_string(tile.size()) + " bytes, needs " +
               std::to_string(kWordsAt));
  }
  EntropyHead head;
  BitReader frequencies(tile.subspan(kFrequenciesAt, 24));
  for (uint16_t& f : head.frequencies) {
    f = static_cast<uint16_t>(frequencies.read(12));
  }
  head.rice = {std::to_integer<uint32_t>(tile[kEscapeMinAt]),
               std::to_integer<uint32_t>(tile[kRiceBitsAt])};
  if (head.rice.bits > kMaxRiceBits) {
    return bad("rice_bits " + std::to_string(head.rice.bits) + " is above 7");
  }
  head.word_bytes = sizeof(uint16_t) * size_t{load_element<uint16_t>(
                                           tile.data() + kNumWordsAt, 0)};
  if (tile.size() - kWordsAt < head.word_bytes) {
    return bad(std::to_string(tile.size()) + " bytes, needs " +
               std::to_string(kWordsAt + head.word_bytes));
  }
  std::memcpy(head.states.data(), &tile[kStatesAt], sizeof(head.states));
  return head;
}

// Appends rows of nibbles; a spare nibble is zero.
void append_nibbles(std::span<const uint8_t> symbols,
                    const SparseTileShape& shape,
                    std::vector<std::byte>& out_fixed) {
  const uint8_t* symbol = symbols.data();
  const size_t begin = out_fixed.size();
  out_fixed.resize(begin + size_t{shape.rows} * ((shape.cols + 1) / 2));
  std::byte* next = &out_fixed[begin];
  for (uint32_t r = 0; r < shape.rows; ++r) {
    for (uint32_t c = 0; c + 1 < shape.cols; c += 2, symbol += 2) {
      *next++ = static_cast<std::byte>(symbol[0] | symbol[1] << 4);
    }
    if (shape.cols % 2 == 1) *next++ = std::byte{*symbol++};
  }
}

}  // namespace

Result<SparseTiles> encode_sparse_entropy(const SparseTiles& fixed) {
  TSR_RETURN_IF_ERROR(decode_sparse_fixed(fixed).status());
  SparseTiles entropy{fixed.N, fixed.K, {}, {0}};
  for (uint64_t tile = 0; tile + 1 < fixed.index.size(); ++tile) {
    TSR_ASSIGN_OR_RETURN(const auto bytes, sparse_tile_bytes(fixed, tile));
    append_tile(bytes, sparse_tile_shape(fixed.N, fixed.K, tile),
                entropy.codes);
    entropy.index.push_back(static_cast<int64_t>(entropy.codes.size()));
  }
  return entropy;
}

Status expand_sparse_entropy_tile(std::span<const std::byte> tile,
                                  const SparseTileShape& shape,
                                  std::vector<std::byte>& out_fixed) {
  TSR_ASSIGN_OR_RETURN(const EntropyHead head, read_head(tile));
  std::vector<uint8_t> symbols(shape.elements());
  TSR_RETURN_IF_ERROR(decode_rans(head.frequencies, head.states,
                                  tile.subspan(kWordsAt, head.word_bytes),
                                  symbols));
  const size_t begin = out_fixed.size();
  out_fixed.insert(out_fixed.end(), tile.begin(),
                   tile.begin() + kSparseBookBytes);
  append_nibbles(symbols, shape, out_fixed);
  const auto num_escapes =
      static_cast<size_t>(std::count(symbols.begin(), symbols.end(), kEscape));
  TSR_RETURN_IF_ERROR(read_escapes(tile.subspan(kWordsAt + head.word_bytes),
                                   head.rice, num_escapes, out_fixed));
  const size_t used = out_fixed.size() - begin;
  out_fixed.resize(begin + (used + 15) / 16 * 16);
  return {};
}

Result<SparseTiles> expand_sparse_entropy(const SparseTiles& entropy) {
  TSR_RETURN_IF_ERROR(check_sparse_index(entropy));
  SparseTiles fixed{entropy.N, entropy.K, {}, {0}};
  for (uint64_t tile = 0; tile + 1 < entropy.index.size(); ++tile) {
    TSR_ASSIGN_OR_RETURN(const auto bytes, sparse_tile_bytes(entropy, tile));
    TSR_RETURN_IF_ERROR(
        expand_sparse_entropy_tile(
            bytes, sparse_tile_shape(fixed.N, fixed.K, tile), fixed.codes)
            .annotate("tile " + std::to_string(tile)));
    fixed.index.push_back(static_cast<int64_t>(fixed.codes.size()));
  }
  return fixed;
}

}  // namespace tessera::format
