// SPDX-License-Identifier: Apache-2.0
//
// Hostile sparse weights.

#include <zlib.h>

#include <cstring>
#include <span>
#include <string_view>

#include "framework/format/sparse/sparse_entropy.hpp"
#include "framework/format/sparse/sparse_file.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::format::SparseCode;
using tessera::format::SparseTiles;

constexpr size_t kHeaderBytes = 64;

void check_tiles(const SparseTiles& tiles) {
  const auto codes = tessera::format::decode_sparse_fixed(tiles);
  if (!codes.ok()) {
    tessera::promise(!codes.status().message().empty(), "errors explain");
    return;
  }
  tessera::promise(codes->size() == uint64_t{tiles.N} * tiles.K,
                   "every code is there");
}

void check(std::span<const std::byte> bytes) {
  const auto file = tessera::format::read_sparse_file(bytes, "fuzz", {});
  if (!file.ok()) {
    tessera::promise(!file.status().message().empty(), "errors explain");
    return;
  }
  if (file->code == SparseCode::kFixed) return check_tiles(file->tiles);
  const auto fixed = tessera::format::expand_sparse_entropy(file->tiles);
  if (fixed.ok()) check_tiles(*fixed);
}

uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// The same with checksums that hold for a file of one tile, or no mutation
// would get past them.
std::vector<std::byte> signed_again(std::span<const std::byte> bytes) {
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  if (copy.size() < kHeaderBytes + 32) return copy;
  const auto store = [&](size_t at, uint32_t value) {
    std::memcpy(&copy[at], &value, sizeof(value));
  };
  const std::span<const std::byte> view(copy);
  const uint64_t codes_bytes = copy.size() - kHeaderBytes - 32;
  std::memcpy(&copy[48], &codes_bytes, sizeof(codes_bytes));
  std::memcpy(&copy[kHeaderBytes + 8], &codes_bytes, sizeof(codes_bytes));
  store(kHeaderBytes + 16, checksum(view.subspan(kHeaderBytes + 32)));
  store(56, checksum(view.subspan(kHeaderBytes, 32)));
  store(60, checksum(view.first(60)));
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check(bytes);
  check(signed_again(bytes));
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  std::vector<std::string> seeds;
  std::vector<int8_t> codes;
  for (int i = 0; i < 21 * 9; ++i) {
    codes.push_back(static_cast<int8_t>(i % 20 == 0 ? i - 90 : 7 * (i % 5)));
  }
  for (const SparseCode code : {SparseCode::kFixed, SparseCode::kEntropy}) {
    const auto bytes = format::write_sparse_file(21, 9, codes, code);
    promise(bytes.ok(), "the seed is written");
    seeds.emplace_back(reinterpret_cast<const char*>(bytes->data()),
                       bytes->size());
  }
  return seeds;
}
