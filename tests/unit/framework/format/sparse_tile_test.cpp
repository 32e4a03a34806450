// SPDX-License-Identifier: Apache-2.0

#include "framework/format/sparse/sparse_tile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "framework/conformance/reference/linear/sparse_tile.hpp"
#include "framework/format/element.hpp"
#include "tests/unit/framework/format/sparse_codes.hpp"

namespace tessera::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SparseTiles encoded(uint32_t N, uint32_t K, const std::vector<int8_t>& codes) {
  auto tiles = encode_sparse_fixed(N, K, codes);
  EXPECT_TRUE(tiles.ok()) << tiles.status().message();
  return *tiles;
}

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

TEST(SparseTile, GivesBackEveryCode) {
  std::mt19937 rng(42);
  for (const CodeKind& kind : code_kinds()) {
    for (const auto& [N, K] : sparse_shapes()) {
      const auto codes = kind.make(size_t{N} * K, rng);
      const auto decoded = decode_sparse_fixed(encoded(N, K, codes));
      ASSERT_TRUE(decoded.ok()) << decoded.status().message();
      ASSERT_EQ(*decoded, codes) << kind.name << " " << N << " x " << K;
    }
  }
}

TEST(SparseTile, IsReadByTheOracle) {
  std::mt19937 rng(42);
  for (const CodeKind& kind : code_kinds()) {
    for (const auto& [N, K] : sparse_shapes()) {
      const auto codes = kind.make(size_t{N} * K, rng);
      const SparseTiles tiles = encoded(N, K, codes);
      const auto oracle = reference::expand_sparse_tiles(
          N, K, tiles.codes, std::as_bytes(std::span(tiles.index)).data());
      ASSERT_TRUE(oracle.ok()) << oracle.status().message();
      ASSERT_EQ(*oracle, codes) << kind.name << " " << N << " x " << K;
    }
  }
}

// Drawn by hand from types.h: 16 codes of which 2 and -1 are the rarest, so
// with 14 others they would fit; one more value makes the last escape.
TEST(SparseTile, HasTheBytesOfTheDrawing) {
  const std::vector<int8_t> codes = {5, -3, 5, 5, 0, -3};
  const SparseTiles tiles = encoded(2, 3, codes);
  EXPECT_THAT(tiles.index, ElementsAre(0, 32));
  EXPECT_EQ(
      tiles.codes,
      bytes_of({0xfd, 0,    5,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  //
                0x02, 0x02, 0x12, 0x00,  // 5 -3 | 5, then 5 0 | -3
                0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(SparseTile, EscapesTheRarestAndOfEquallyRareTheLarger) {
  std::vector<int8_t> codes;
  for (int code = 0; code < 17; ++code) {
    codes.push_back(static_cast<int8_t>(code));
  }
  codes.push_back(16);  // 16 occurs twice, so 14 and 15 escape
  const SparseTiles tiles = encoded(1, 18, codes);
  const auto book = [&](size_t i) {
    return load_element<int8_t>(tiles.codes.data(), i);
  };
  EXPECT_EQ(book(13), 13);
  EXPECT_EQ(book(14), 16);
  EXPECT_EQ(book(15), 0);
  EXPECT_EQ(nibble(&tiles.codes[16], 14), 15U);
  EXPECT_EQ(nibble(&tiles.codes[16], 15), 15U);
  EXPECT_EQ(book(16 + 9), 14);
  EXPECT_EQ(book(16 + 10), 15);
}

// No other choice of 15 codes leaves fewer escapes.
TEST(SparseTile, IsAsShortAsTheDrawingAllows) {
  std::mt19937 rng(42);
  const auto codes = uniform_codes(200 * 100, rng);
  std::map<int8_t, size_t> counts;
  for (const int8_t code : codes) ++counts[code];
  std::vector<size_t> sorted;
  for (const auto& [code, count] : counts) sorted.push_back(count);
  std::sort(sorted.rbegin(), sorted.rend());
  size_t escapes = codes.size();
  for (size_t i = 0; i < 15; ++i) escapes -= sorted[i];
  EXPECT_EQ(encoded(200, 100, codes).codes.size(),
            (16 + 200 * 50 + escapes + 15) / 16 * 16);
}

TEST(SparseTile, DecodesATileAlone) {
  std::mt19937 rng(42);
  const uint32_t N = 300;
  const uint32_t K = 200;
  const auto codes = protected_codes(size_t{N} * K, rng);
  const SparseTiles tiles = encoded(N, K, codes);
  const SparseTileShape shape = sparse_tile_shape(N, K, 3);
  EXPECT_EQ(shape.row, 256U);
  EXPECT_EQ(shape.col, 128U);
  std::vector<int8_t> decoded(codes.size(), 99);
  const auto bytes = sparse_tile_bytes(tiles, 3);
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(decode_sparse_tile(*bytes, shape, decoded.data(), K).ok());
  for (uint32_t n = 0; n < N; ++n) {
    for (uint32_t k = 0; k < K; ++k) {
      const size_t i = size_t{n} * K + k;
      ASSERT_EQ(decoded[i], n >= 256 && k >= 128 ? codes[i] : 99);
    }
  }
}

TEST(SparseTile, RefusesCodesThatAreNotTheWeight) {
  const std::vector<int8_t> codes(6);
  EXPECT_EQ(encode_sparse_fixed(2, 4, codes).status().message(),
            "6 codes for a weight of 2 x 4");
  EXPECT_FALSE(encode_sparse_fixed(0, 0, {}).ok());
}

TEST(SparseTile, RefusesDamagedTiles) {
  std::mt19937 rng(42);
  const SparseTiles good = encoded(4, 5, uniform_codes(20, rng));
  const auto message = [](const SparseTiles& tiles) {
    const auto decoded = decode_sparse_fixed(tiles);
    return decoded.ok() ? "" : decoded.status().message();
  };
  SparseTiles bad = good;  // all of 20 escape, where 5 did
  std::fill_n(bad.codes.begin() + 16, 12, std::byte{0xff});
  EXPECT_THAT(message(bad), HasSubstr("tile 0: "));

  bad = good;
  bad.codes.back() = std::byte{1};
  EXPECT_EQ(message(bad), "tile 0: padding is not zero");

  bad = good;
  bad.codes.resize(bad.codes.size() + 16);
  bad.index.back() += 16;
  EXPECT_THAT(message(bad), HasSubstr("are used"));

  bad = good;
  bad.codes.resize(16);
  bad.index.back() = 16;
  EXPECT_EQ(message(bad), "tile 0: 16 bytes, needs 28");

  for (const std::vector<int64_t>& index : {std::vector<int64_t>{},
                                            {0},
                                            {0, 1},
                                            {1, good.index[1]},
                                            {0, good.index[1] + 1},
                                            {0, -1},
                                            {0, INT64_MAX}}) {
    bad = good;
    bad.index = index;
    EXPECT_THAT(message(bad), HasSubstr("index"));
  }
}

TEST(SparseTile, MakesAWeightThatReadersAccept) {
  std::mt19937 rng(42);
  Plane scale;
  scale.role = TSR_PLANE_SCALE;
  scale.dtype = TSR_F32;
  scale.rows = 257;
  scale.cols = 1;
  scale.block_n = 1;
  scale.block_k = 129;
  scale.owned.resize(257 * 4);
  const SparseTiles tiles = encoded(257, 129, grid_codes(257 * 129, rng));
  const auto weight = sparse_fixed_weight(tiles, scale);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  EXPECT_EQ(weight->format, TSR_WEIGHT_SPARSE_FIXED);
  EXPECT_EQ(weight->bytes(), tiles.codes.size() + 5 * 8 + 257 * 4);

  scale.rows = 256;
  EXPECT_THAT(sparse_fixed_weight(tiles, scale).status().message(),
              HasSubstr("scale plane"));
}

}  // namespace
}  // namespace tessera::format
