// SPDX-License-Identifier: Apache-2.0

#include "framework/format/sparse/sparse_entropy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/format/sparse/sparse_rans.hpp"
#include "tests/unit/framework/format/sparse_codes.hpp"

namespace tessera::format {
namespace {

using ::testing::HasSubstr;

SparseTiles fixed_tiles(uint32_t N, uint32_t K,
                        const std::vector<int8_t>& codes) {
  auto tiles = encode_sparse_fixed(N, K, codes);
  EXPECT_TRUE(tiles.ok()) << tiles.status().message();
  return *tiles;
}

TEST(SparseEntropy, GivesBackTheFixedTilesByteForByte) {
  std::mt19937 rng(42);
  for (const CodeKind& kind : code_kinds()) {
    for (const auto& [N, K] : sparse_shapes()) {
      const SparseTiles fixed =
          fixed_tiles(N, K, kind.make(size_t{N} * K, rng));
      const auto entropy = encode_sparse_entropy(fixed);
      ASSERT_TRUE(entropy.ok()) << entropy.status().message();
      const auto back = expand_sparse_entropy(*entropy);
      ASSERT_TRUE(back.ok()) << back.status().message();
      ASSERT_EQ(back->codes, fixed.codes) << kind.name << " " << N << " " << K;
      ASSERT_EQ(back->index, fixed.index);
    }
  }
}

// The nibbles take their entropy, frequencies being rounded to 1/2048, the
// escapes at most a byte and a flag; the rest is the head.
TEST(SparseEntropy, TakesHardlyMoreThanTheEntropy) {
  std::mt19937 rng(42);
  const auto codes = grid_codes(256 * 128, rng);
  std::array<double, 256> counts{};
  for (const int8_t code : codes) ++counts[static_cast<uint8_t>(code)];
  double bits = 0.0;
  for (const double count : counts) {
    if (count > 0) bits -= count * std::log2(count / (256.0 * 128.0));
  }
  const auto entropy = encode_sparse_entropy(fixed_tiles(256, 128, codes));
  ASSERT_TRUE(entropy.ok());
  const double payload =
      8.0 * (static_cast<double>(entropy->codes.size()) - 60.0);
  EXPECT_GE(payload + 4 * 16, bits);  // the states hold the rest
  EXPECT_LE(payload, bits * 1.002 + 4 * 32);
}

TEST(SparseRans, FrequenciesKeepEverySymbolAndAddUp) {
  std::mt19937 rng(42);
  for (int i = 0; i < 100; ++i) {
    std::array<uint32_t, kRansSymbols> counts{};
    for (uint32_t& count : counts) {
      if (rng() % 3 != 0) count = static_cast<uint32_t>(rng() >> rng() % 32);
    }
    counts[rng() % kRansSymbols] += 1;
    const RansFrequencies f = normalize_frequencies(counts);
    EXPECT_EQ(std::accumulate(f.begin(), f.end(), 0U), kRansTotal);
    for (size_t s = 0; s < kRansSymbols; ++s) {
      EXPECT_EQ(f[s] > 0, counts[s] > 0) << s;
    }
  }
}

TEST(SparseEntropy, RefusesDamagedTiles) {
  std::mt19937 rng(42);
  const auto encoded =
      encode_sparse_entropy(fixed_tiles(20, 30, protected_codes(600, rng)));
  ASSERT_TRUE(encoded.ok());
  const SparseTiles& good = *encoded;
  const auto message = [](const SparseTiles& tiles) {
    const auto fixed = expand_sparse_entropy(tiles);
    return fixed.ok() ? "" : fixed.status().message();
  };
  SparseTiles bad = good;
  bad.codes[16] ^= std::byte{1};
  EXPECT_THAT(message(bad), HasSubstr("tile 0: frequencies add up to "));

  bad = good;
  bad.codes[41] = std::byte{8};
  EXPECT_EQ(message(bad), "tile 0: rice_bits 8 is above 7");

  bad = good;
  bad.codes[43] = std::byte{0xff};
  EXPECT_THAT(message(bad), HasSubstr("bytes, needs "));

  bad = good;
  bad.codes[44] ^= std::byte{1};  // a state: other nibbles, another end
  EXPECT_THAT(message(bad), HasSubstr("tile 0: "));

  bad = good;
  bad.codes.push_back(std::byte{0});
  ++bad.index.back();
  EXPECT_EQ(message(bad), "tile 0: escapes do not end with its bytes");

  bad = good;
  bad.codes.resize(59);
  bad.index.back() = 59;
  EXPECT_EQ(message(bad), "tile 0: 59 bytes, needs 60");
}

}  // namespace
}  // namespace tessera::format
