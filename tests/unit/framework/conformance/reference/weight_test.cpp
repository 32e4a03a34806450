// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/linear/weight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "framework/format/encode.hpp"
#include "framework/format/small_float.hpp"
#include "framework/tensor/half.hpp"
#include "tests/unit/framework/conformance/reference/planes.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

using format::WeightData;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<double> decoded_row(const WeightData& data, uint32_t n) {
  const auto weight = Weight::open(data);
  EXPECT_TRUE(weight.ok()) << weight.status().message();
  std::vector<double> row(data.K);
  weight->decode_row(n, row);
  return row;
}

std::vector<int32_t> integer_row(const WeightData& data, uint32_t n) {
  const auto weight = Weight::open(data);
  EXPECT_TRUE(weight.ok()) << weight.status().message();
  EXPECT_TRUE(weight->has_integers());
  std::vector<int32_t> row(data.K);
  weight->integer_row(n, row);
  return row;
}

// ---- Formulas of types.h, by hand ------------------------------------------

TEST(ReferenceWeight, IntegersAreScaleTimesCodeMinusZeroPoint) {
  WeightData i8{TSR_WEIGHT_I8, 2, 3, {}};
  i8.planes = {make_plane<int8_t>(TSR_PLANE_CODES, TSR_I8, 2, 3,
                                  {1, -2, 127, -128, 0, 5}),
               make_blocked_plane<float>(i8, TSR_PLANE_SCALE, TSR_F32, 1, 3,
                                         {0.5f, 0.25f})};
  EXPECT_THAT(decoded_row(i8, 0), ElementsAre(0.5, -1.0, 63.5));
  EXPECT_THAT(decoded_row(i8, 1), ElementsAre(-32.0, 0.0, 1.25));
  EXPECT_THAT(integer_row(i8, 1), ElementsAre(-128, 0, 5));

  // A missing zero point of u8 is 128, of u4 is 8.
  WeightData u8{TSR_WEIGHT_U8, 1, 2, {}};
  u8.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_U8, 1, 2, {0, 255}),
      make_blocked_plane<float>(u8, TSR_PLANE_SCALE, TSR_F32, 1, 2, {2.0f})};
  EXPECT_THAT(decoded_row(u8, 0), ElementsAre(-256.0, 254.0));
  u8.planes.push_back(make_blocked_plane<uint8_t>(u8, TSR_PLANE_ZERO_POINT,
                                                  TSR_U8, 1, 2, {10}));
  EXPECT_THAT(decoded_row(u8, 0), ElementsAre(-20.0, 490.0));
  EXPECT_THAT(integer_row(u8, 0), ElementsAre(-10, 245));
}

// Low nibble first; groups of two, the last one short; one zero point a byte.
TEST(ReferenceWeight, NibblesAndShortGroups) {
  WeightData u4{TSR_WEIGHT_U4, 1, 3, {}};
  u4.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_U4, 1, 3, {0xf0, 0x09}),
      make_blocked_plane<float>(u4, TSR_PLANE_SCALE, TSR_F32, 1, 2, {1, 3})};
  EXPECT_THAT(decoded_row(u4, 0), ElementsAre(-8.0, 7.0, 3.0));
  u4.planes.push_back(make_blocked_plane<uint8_t>(u4, TSR_PLANE_ZERO_POINT,
                                                  TSR_U8, 1, 2, {0, 15}));
  EXPECT_THAT(decoded_row(u4, 0), ElementsAre(0.0, 15.0, -18.0));
  EXPECT_THAT(integer_row(u4, 0), ElementsAre(0, 15, -6));

  WeightData i4{TSR_WEIGHT_I4, 1, 3, {}};
  i4.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_I4, 1, 3, {0x78, 0x0f}),
      make_blocked_plane<uint8_t>(i4, TSR_PLANE_SCALE, TSR_U8, 1, 2, {3, 5}),
      make_blocked_plane<float>(i4, TSR_PLANE_SCALE2, TSR_F32, 1, 3, {0.5f})};
  EXPECT_THAT(decoded_row(i4, 0), ElementsAre(-12.0, 10.5, -2.5));
}

TEST(ReferenceWeight, MinReplacesTheZeroPoint) {
  WeightData u4{TSR_WEIGHT_U4, 1, 2, {}};
  u4.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_U4, 1, 2, {0xf0}),
      make_blocked_plane<float>(u4, TSR_PLANE_SCALE, TSR_F32, 1, 2, {2.0f}),
      make_blocked_plane<float>(u4, TSR_PLANE_MIN, TSR_F32, 1, 2, {-4.0f})};
  EXPECT_THAT(decoded_row(u4, 0), ElementsAre(-4.0, 26.0));
  EXPECT_FALSE(Weight::open(u4)->has_integers());
}

// Blocks of 2 x 2 codes share a scale, as in block-wise fp8.
TEST(ReferenceWeight, ScalesMayServeBlocksOfRows) {
  WeightData f8{TSR_WEIGHT_F8E4M3, 3, 3, {}};
  f8.planes = {
      make_plane<uint8_t>(TSR_PLANE_CODES, TSR_F8E4M3, 3, 3,
                          std::vector<uint8_t>(9, format::f32_to_f8e4m3(1))),
      make_blocked_plane<float>(f8, TSR_PLANE_SCALE, TSR_F32, 2, 2,
                                {1, 2, 3, 4})};
  EXPECT_THAT(decoded_row(f8, 1), ElementsAre(1.0, 1.0, 2.0));
  EXPECT_THAT(decoded_row(f8, 2), ElementsAre(3.0, 3.0, 4.0));
}

TEST(ReferenceWeight, ScalesOfSixteenBitsAreWidened) {
  WeightData i8{TSR_WEIGHT_I8, 1, 1, {}};
  i8.planes = {make_plane<int8_t>(TSR_PLANE_CODES, TSR_I8, 1, 1, {3}),
               make_blocked_plane<uint16_t>(i8, TSR_PLANE_SCALE, TSR_BF16, 1, 1,
                                            {f32_to_bf16(1.5f)})};
  EXPECT_THAT(decoded_row(i8, 0), ElementsAre(4.5));
  i8.planes[1] = make_blocked_plane<uint16_t>(i8, TSR_PLANE_SCALE, TSR_F16, 1,
                                              1, {f32_to_f16(0.1f)});
  EXPECT_THAT(decoded_row(i8, 0),
              ElementsAre(3.0 * f16_to_f32(f32_to_f16(0.1f))));
}

TEST(ReferenceWeight, SmallPlanesAreVectorsInEitherDirection) {
  WeightData data{TSR_WEIGHT_F32, 2, 2, {}};
  data.planes = {
      make_plane<float>(TSR_PLANE_CODES, TSR_F32, 2, 2, {1, 2, 3, 4}),
      make_plane<int32_t>(TSR_PLANE_PERMUTATION, TSR_I32, 1, 2, {1, 0}),
      make_plane<float>(TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, 2, 1, {5, 6}),
      make_plane<int32_t>(TSR_PLANE_QUANT_BIAS, TSR_I32, 2, 1, {7, 8}),
      make_plane<float>(TSR_PLANE_ACT_SCALE, TSR_F32, 1, 1, {0.5f}),
      make_plane<float>(TSR_PLANE_ACT_INV, TSR_F32, 1, 1, {2.0f}),
      make_plane<int32_t>(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1, 1, {-3})};
  const auto weight = Weight::open(data);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  EXPECT_THAT(weight->permutation(), ElementsAre(1, 0));
  EXPECT_THAT(weight->input_multiplier(), ElementsAre(5.0f, 6.0f));
  EXPECT_THAT(weight->quant_bias(), ElementsAre(7, 8));
  ASSERT_TRUE(weight->static_activation().has_value());
  EXPECT_EQ(weight->static_activation()->zero_point, -3);
}

TEST(ReferenceWeight, RefusesBadPlanes) {
  WeightData data{TSR_WEIGHT_F32, 1, 2, {}};
  data.planes = {
      make_plane<float>(TSR_PLANE_CODES, TSR_F32, 1, 2, {1, 2}),
      make_plane<int32_t>(TSR_PLANE_PERMUTATION, TSR_I32, 1, 2, {0, 2})};
  EXPECT_EQ(Weight::open(data).status().message(),
            "weight f32: permutation names feature 2 of 2");
  data.planes[1].owned.clear();
  EXPECT_THAT(Weight::open(data).status().message(), HasSubstr("has no data"));
  data.planes.clear();
  EXPECT_FALSE(Weight::open(data).ok());
}

// ---- Every format against its encoder --------------------------------------

// The encoder's error is at most half the widest spacing of codes, here as a
// share of the group's amax (K-quants and ggml's asymmetric blocks: the range).
TEST(ReferenceWeight, DecodesWhatTheEncoderWroteInEveryFormat) {
  struct Case {
    uint32_t format;
    double half_step;  // of amax
  };
  const Case cases[] = {
      {TSR_WEIGHT_F32, 0.0},         {TSR_WEIGHT_F16, 0x1p-11},
      {TSR_WEIGHT_BF16, 0x1p-8},     {TSR_WEIGHT_I8, 0.5 / 127},
      {TSR_WEIGHT_U8, 0.5 / 127},    {TSR_WEIGHT_I4, 0.5 / 7},
      {TSR_WEIGHT_U4, 0.5 / 7},      {TSR_WEIGHT_F8E4M3, 16.0 / 448},
      {TSR_WEIGHT_F8E5M2, 1.0 / 14}, {TSR_WEIGHT_F4E2M1, 1.0 / 6},
      {TSR_WEIGHT_MXFP4, 1.0 / 4},   {TSR_WEIGHT_NVFP4, 1.0 / 6 + 0x1p-4},
      {TSR_WEIGHT_Q4_0, 1.0 / 8},    {TSR_WEIGHT_Q4_1, 1.0 / 15},
      {TSR_WEIGHT_Q5_0, 1.0 / 16},   {TSR_WEIGHT_Q5_1, 1.0 / 31},
      {TSR_WEIGHT_Q8_0, 0.5 / 127},
  };
  std::mt19937 rng(42);
  const uint32_t N = 3;
  const uint32_t K = 96;
  const std::vector<float> values = normal_values(rng, size_t{N} * K);
  for (const Case& item : cases) {
    for (const uint32_t group_size : {0U, 32U}) {
      const auto data = format::encode_weight(
          {.format = item.format, .group_size = group_size}, N, K, values);
      ASSERT_TRUE(data.ok());
      double amax = 0.0;
      for (const float value : values) {
        amax = std::max(amax, std::fabs(double{value}));
      }
      // Scales of f16 (GGUF) round by another 2^-11.
      const double tolerance = amax * (item.half_step + 2 * 0x1p-11);
      for (uint32_t n = 0; n < N; ++n) {
        const std::vector<double> row = decoded_row(*data, n);
        for (uint32_t k = 0; k < K; ++k) {
          EXPECT_NEAR(row[k], values[size_t{n} * K + k], tolerance)
              << format::weight_format_name(item.format);
        }
      }
    }
  }
}

// ---- Golden FP4 blocks of ggml, laid out as our planes ---------------------

std::vector<uint8_t> read_golden(const std::string& name) {
  std::ifstream file(TSR_SOURCE_DIR "/../shared/golden/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> read_golden_f32(const std::string& name) {
  const std::vector<uint8_t> bytes = read_golden(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

// ggml pairs value j with value j + half in a byte; we pair neighbours.
void append_repacked(const uint8_t* qs, size_t half,
                     std::vector<uint8_t>& out_codes) {
  for (size_t k = 0; k < 2 * half; k += 2) {
    const auto code = [&](size_t i) {
      return i < half ? qs[i] & 15 : qs[i - half] >> 4;
    };
    out_codes.push_back(static_cast<uint8_t>(code(k) | code(k + 1) << 4));
  }
}

TEST(ReferenceWeight, DecodesGoldenMxfp4) {
  const std::vector<uint8_t> blocks = read_golden("mxfp4.blocks.bin");
  if (blocks.empty()) GTEST_SKIP() << "no golden vectors beside the source";
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  for (size_t i = 0; i < blocks.size(); i += 17) {
    scales.push_back(blocks[i]);
    append_repacked(&blocks[i + 1], 16, codes);
  }
  WeightData data{TSR_WEIGHT_MXFP4, 1, 8192, {}};
  data.planes = {
      make_plane(TSR_PLANE_CODES, TSR_F4E2M1, 1, 8192, codes),
      make_blocked_plane(data, TSR_PLANE_SCALE, TSR_E8M0, 1, 32, scales)};
  const auto expected = read_golden_f32("mxfp4.dequant.f32");
  const auto row = decoded_row(data, 0);
  for (size_t k = 0; k < row.size(); ++k) {
    ASSERT_EQ(static_cast<float>(row[k]), expected[k]) << k;
  }
}

// Our encoder ties to even where ggml takes the lower code, so their errors are
// the same though not every code is.
TEST(ReferenceWeight, EncodesMxfp4AsWellAsGgml) {
  const auto input = read_golden_f32("input.f32");
  if (input.empty()) GTEST_SKIP() << "no golden vectors beside the source";
  const auto expected = read_golden_f32("mxfp4.dequant.f32");
  const auto data =
      format::encode_weight({.format = TSR_WEIGHT_MXFP4}, 1, 8192, input);
  ASSERT_TRUE(data.ok());
  const auto row = decoded_row(*data, 0);
  int differences = 0;
  for (size_t k = 0; k < row.size(); ++k) {
    EXPECT_EQ(std::fabs(row[k] - input[k]),
              std::fabs(double{expected[k]} - input[k]));
    if (row[k] != expected[k]) ++differences;
  }
  EXPECT_EQ(differences, 46);  // shared/golden/NOTE.md
}

TEST(ReferenceWeight, DecodesGoldenNvfp4) {
  const std::vector<uint8_t> blocks = read_golden("nvfp4.blocks.bin");
  if (blocks.empty()) GTEST_SKIP() << "no golden vectors beside the source";
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  for (size_t i = 0; i < blocks.size(); i += 36) {
    for (size_t k = 0; k < 4; ++k) {
      scales.push_back(blocks[i + k]);
      append_repacked(&blocks[i + 4 + 8 * k], 8, codes);
    }
  }
  WeightData data{TSR_WEIGHT_NVFP4, 1, 8192, {}};
  data.planes = {
      make_plane(TSR_PLANE_CODES, TSR_F4E2M1, 1, 8192, codes),
      make_blocked_plane(data, TSR_PLANE_SCALE, TSR_F8E4M3, 1, 16, scales)};
  const auto expected = read_golden_f32("nvfp4.dequant.f32");
  const auto row = decoded_row(data, 0);
  for (size_t k = 0; k < row.size(); ++k) {
    ASSERT_EQ(static_cast<float>(row[k]), expected[k]) << k;
  }
}

// ---- SPARSE_FIXED ----------------------------------------------------------

// Writes the tiles of s8 codes [N, K]: nibble 0 is zero, others escape.
WeightData sparse_weight(uint32_t N, uint32_t K,
                         const std::vector<int8_t>& values) {
  std::vector<uint8_t> codes;
  std::vector<int64_t> index = {0};
  for (uint32_t n0 = 0; n0 < N; n0 += 256) {
    for (uint32_t k0 = 0; k0 < K; k0 += 128) {
      const uint32_t rows = std::min(256U, N - n0);
      const uint32_t cols = std::min(128U, K - k0);
      codes.resize(codes.size() + 16);  // a book of zeros
      codes[codes.size() - 15] = 7;     // nibble 1
      std::vector<uint8_t> escapes;
      for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < cols; ++c) {
          const int8_t value = values[size_t{n0 + r} * K + k0 + c];
          const int nibble = value == 0 ? 0 : value == 7 ? 1 : 15;
          if (nibble == 15) escapes.push_back(static_cast<uint8_t>(value));
          if (c % 2 == 0) codes.push_back(static_cast<uint8_t>(nibble));
          if (c % 2 == 1) {
            codes.back() = static_cast<uint8_t>(codes.back() | nibble << 4);
          }
        }
      }
      codes.insert(codes.end(), escapes.begin(), escapes.end());
      codes.resize((codes.size() + 15) / 16 * 16);
      index.push_back(static_cast<int64_t>(codes.size()));
    }
  }
  WeightData data{TSR_WEIGHT_SPARSE_FIXED, N, K, {}};
  data.planes = {make_plane(TSR_PLANE_CODES, TSR_U8, 1,
                            static_cast<uint32_t>(codes.size()), codes),
                 make_blocked_plane<float>(data, TSR_PLANE_SCALE, TSR_F32, 1, K,
                                           std::vector<float>(N, 0.5f)),
                 make_plane(TSR_PLANE_INDEX, TSR_I64, 1,
                            static_cast<uint32_t>(index.size()), index)};
  return data;
}

std::vector<int8_t> sparse_values(size_t count) {
  std::mt19937 rng(42);
  std::uniform_int_distribution<int> code(-128, 127);
  std::vector<int8_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = static_cast<int8_t>(i % 3 == 0   ? code(rng)
                                    : i % 3 == 1 ? 7
                                                 : 0);
  }
  return values;
}

TEST(ReferenceWeight, ExpandsSparseTilesOfEverySize) {
  const std::pair<uint32_t, uint32_t> shapes[] = {
      {1, 1}, {255, 127}, {256, 128}, {257, 129}, {300, 300}};
  for (const auto& [N, K] : shapes) {
    const auto values = sparse_values(size_t{N} * K);
    const WeightData data = sparse_weight(N, K, values);
    for (const uint32_t n : {0U, N / 2, N - 1}) {
      const auto integers = integer_row(data, n);
      const auto row = decoded_row(data, n);
      for (uint32_t k = 0; k < K; ++k) {
        ASSERT_EQ(integers[k], values[size_t{n} * K + k]) << N << " " << k;
        ASSERT_EQ(row[k], 0.5 * values[size_t{n} * K + k]);
      }
    }
  }
}

TEST(ReferenceWeight, RefusesDamagedSparseTiles) {
  const WeightData good = sparse_weight(3, 5, sparse_values(15));
  ASSERT_TRUE(Weight::open(good).ok());

  WeightData bad = good;  // every nibble of the 3 rows of 3 bytes escapes
  std::fill_n(bad.planes[0].owned.begin() + 16, 9, std::byte{0xff});
  EXPECT_EQ(Weight::open(bad).status().message(),
            "weight sparse_fixed: tile 0: escapes run past its end");

  for (const int64_t end :
       {int64_t{-1}, int64_t{0}, int64_t{16}, int64_t{31}, INT64_MAX}) {
    bad = good;
    std::memcpy(bad.planes[2].owned.data() + 8, &end, sizeof(end));
    const auto damaged = Weight::open(bad);
    ASSERT_FALSE(damaged.ok()) << end;
    EXPECT_THAT(damaged.status().message(),
                HasSubstr("weight sparse_fixed: tile 0: "));
  }
}

}  // namespace
}  // namespace tessera::reference
