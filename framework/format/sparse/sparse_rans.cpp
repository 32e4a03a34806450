// SPDX-License-Identifier: Apache-2.0
//
// A state x is in [2^16, 2^32) between symbols.  Coding a symbol of frequency f
// whose slots begin at b maps x to (x / f) * 2^11 + b + x % f; decoding inverts
// that, and a word moves out or in whenever x would leave its interval.

#include "framework/format/sparse/sparse_rans.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "framework/format/element.hpp"

namespace tessera::format {
namespace {

constexpr uint32_t kWordBits = 16;
constexpr uint32_t kLowest = 1U << kWordBits;  // the state encoding begins with

using Starts = std::array<uint32_t, kRansSymbols>;

Starts make_starts(const RansFrequencies& frequencies) {
  Starts starts{};
  for (size_t s = 1; s < kRansSymbols; ++s) {
    starts[s] = starts[s - 1] + frequencies[s - 1];
  }
  return starts;
}

uint32_t sum(const RansFrequencies& frequencies) {
  return std::accumulate(frequencies.begin(), frequencies.end(), 0U);
}

// What a state in slot i of 2^11 means.
struct Slot {
  uint16_t frequency;
  uint16_t offset;  // of the slot in its symbol
  uint32_t symbol;
};

std::array<Slot, kRansTotal> make_slots(const RansFrequencies& frequencies) {
  std::array<Slot, kRansTotal> slots;
  size_t next = 0;
  for (uint32_t s = 0; s < kRansSymbols; ++s) {
    for (uint16_t i = 0; i < frequencies[s]; ++i) {
      slots[next++] = {frequencies[s], i, s};
    }
  }
  return slots;
}

}  // namespace

RansFrequencies normalize_frequencies(
    const std::array<uint32_t, kRansSymbols>& counts) {
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), 0ULL);
  RansFrequencies f{};
  for (size_t s = 0; s < kRansSymbols; ++s) {
    if (counts[s] == 0) continue;
    f[s] = static_cast<uint16_t>(
        std::max<uint64_t>(1, uint64_t{counts[s]} * kRansTotal / total));
  }
  // One more slot for symbol s saves about counts[s] / (f[s] + 1/2).
  const auto gain_order = [&](size_t a, size_t b) {
    return uint64_t{counts[a]} * (2U * f[b] + 1U) <
           uint64_t{counts[b]} * (2U * f[a] + 1U);
  };
  std::array<size_t, kRansSymbols> symbols;
  std::iota(symbols.begin(), symbols.end(), size_t{0});
  for (uint32_t have = sum(f); have < kRansTotal; ++have) {
    ++f[*std::max_element(symbols.begin(), symbols.end(), gain_order)];
  }
  // Rounding up to 1 took a few slots too many, which the largest can spare.
  for (uint32_t have = sum(f); have > kRansTotal; --have) {
    --*std::max_element(f.begin(), f.end());
  }
  return f;
}

RansStream encode_rans(std::span<const uint8_t> symbols) {
  std::array<uint32_t, kRansSymbols> counts{};
  for (const uint8_t symbol : symbols) ++counts[symbol];
  RansStream stream;
  stream.frequencies = normalize_frequencies(counts);
  stream.states.fill(kLowest);
  const Starts starts = make_starts(stream.frequencies);
  for (size_t i = symbols.size(); i-- > 0;) {  // the decoder runs forward
    uint32_t& x = stream.states[i % kRansLanes];
    const uint32_t f = stream.frequencies[symbols[i]];
    if (x >= uint64_t{f} << (2 * kWordBits - kRansBits)) {
      stream.words.push_back(static_cast<uint16_t>(x));
      x >>= kWordBits;
    }
    x = ((x / f) << kRansBits) + starts[symbols[i]] + x % f;
  }
  std::reverse(stream.words.begin(), stream.words.end());
  return stream;
}

Status decode_rans(const RansFrequencies& frequencies,
                   std::array<uint32_t, kRansLanes> states,
                   std::span<const std::byte> words,
                   std::span<uint8_t> out_symbols) {
  if (sum(frequencies) != kRansTotal) {
    return Status(TSR_INVALID_ARGUMENT,
                  "frequencies add up to " + std::to_string(sum(frequencies)) +
                      ", not " + std::to_string(kRansTotal));
  }
  const std::array<Slot, kRansTotal> slots = make_slots(frequencies);
  const size_t num_words = words.size() / sizeof(uint16_t);
  size_t next = 0;
  size_t i = 0;
  const auto step = [&](uint32_t& x) {
    const Slot& slot = slots[x % kRansTotal];
    out_symbols[i++] = static_cast<uint8_t>(slot.symbol);
    x = slot.frequency * (x >> kRansBits) + slot.offset;
    const uint32_t word = load_element<uint16_t>(words.data(), next);
    const bool reads = x < kLowest;
    x = reads ? x << kWordBits | word : x;
    next += reads ? 1 : 0;
  };
  // A round of the lanes reads at most a word each, so that no read needs a
  // check of its own; without branches, and written out, the lanes overlap.
  static_assert(kRansLanes == 4);
  while (out_symbols.size() - i >= kRansLanes &&
         num_words - next >= kRansLanes) {
    step(states[0]);
    step(states[1]);
    step(states[2]);
    step(states[3]);
  }
  for (; i < out_symbols.size(); ++i) {
    uint32_t& x = states[i % kRansLanes];
    const Slot& slot = slots[x % kRansTotal];
    out_symbols[i] = static_cast<uint8_t>(slot.symbol);
    x = slot.frequency * (x >> kRansBits) + slot.offset;
    if (x < kLowest) {
      if (next == num_words) {
        return Status(TSR_INVALID_ARGUMENT, "nibbles run past its end");
      }
      x = x << kWordBits | load_element<uint16_t>(words.data(), next++);
    }
  }
  const bool rewound = std::all_of(states.begin(), states.end(),
                                   [](uint32_t x) { return x == kLowest; });
  if (next != num_words || !rewound) {
    return Status(TSR_INVALID_ARGUMENT, "nibbles do not end with its words");
  }
  return {};
}

}  // namespace tessera::format
