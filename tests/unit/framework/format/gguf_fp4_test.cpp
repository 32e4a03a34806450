// SPDX-License-Identifier: Apache-2.0
//
// Against vectors made by ggml's own reference quantizers, and over all codes.

#include "framework/format/gguf/gguf_fp4.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "framework/format/small_float.hpp"
#include "tests/unit/framework/format/golden_vectors.hpp"

namespace tessera::format {
namespace {

struct Fp4Type {
  std::string name;
  uint32_t values;
  uint32_t bytes;
  void (*encode)(const float* x, std::byte* out_block);
  void (*decode)(const std::byte* block, double* out_values);
};

const Fp4Type kTypes[] = {
    {"mxfp4", kGgufMxfp4Values, kGgufMxfp4Bytes, encode_gguf_mxfp4,
     decode_gguf_mxfp4},
    {"nvfp4", kGgufNvfp4Values, kGgufNvfp4Bytes, encode_gguf_nvfp4,
     decode_gguf_nvfp4},
};

class GgufFp4 : public testing::TestWithParam<Fp4Type> {};

TEST_P(GgufFp4, EncodesToTheReferenceBitForBit) {
  const Fp4Type& type = GetParam();
  const std::vector<float> input = read_golden_f32("input.f32");
  const std::vector<std::byte> blocks = read_golden(type.name + ".blocks.bin");
  ASSERT_EQ(blocks.size(), input.size() / type.values * type.bytes);
  std::vector<std::byte> encoded(type.bytes);
  for (size_t i = 0; i < input.size() / type.values; ++i) {
    type.encode(&input[i * type.values], encoded.data());
    ASSERT_EQ(std::memcmp(encoded.data(), &blocks[i * type.bytes], type.bytes),
              0)
        << "block " << i;
  }
}

TEST_P(GgufFp4, DecodesToTheReferenceBitForBit) {
  const Fp4Type& type = GetParam();
  const std::vector<std::byte> blocks = read_golden(type.name + ".blocks.bin");
  const std::vector<float> dequant =
      read_golden_f32(type.name + ".dequant.f32");
  ASSERT_EQ(dequant.size(), 4096u);
  std::vector<double> values(type.values);
  for (size_t i = 0; i < dequant.size(); i += type.values) {
    type.decode(&blocks[i / type.values * type.bytes], values.data());
    for (size_t j = 0; j < values.size(); ++j) {
      // ggml's table has no negative zero.
      const float value =
          values[j] == 0.0 ? 0.0f : static_cast<float>(values[j]);
      ASSERT_EQ(value, dequant[i + j]) << i + j;
    }
  }
}

// Every scale with every pair of codes at every place.
TEST(GgufFp4Codes, Mxfp4IsItsDrawing) {
  std::byte block[kGgufMxfp4Bytes] = {};
  double values[kGgufMxfp4Values];
  for (int scale = 0; scale < 256; ++scale) {
    for (int pair = 0; pair < 256; ++pair) {
      block[0] = static_cast<std::byte>(scale);
      for (int j = 0; j < 16; ++j) {
        block[1 + j] = static_cast<std::byte>((pair + j) % 256);
      }
      decode_gguf_mxfp4(block, values);
      for (int i = 0; i < 32; ++i) {
        const int byte = (pair + i % 16) % 256;
        const auto code = static_cast<uint8_t>(i < 16 ? byte % 16 : byte / 16);
        ASSERT_EQ(values[i], std::pow(2.0, scale - 127) * f4e2m1_to_f32(code));
      }
    }
  }
}

TEST(GgufFp4Codes, Nvfp4IsItsDrawing) {
  std::byte block[kGgufNvfp4Bytes] = {};
  double values[kGgufNvfp4Values];
  for (int scale = 0; scale < 256; ++scale) {
    for (int pair = 0; pair < 256; ++pair) {
      for (int k = 0; k < 4; ++k) {
        block[k] = static_cast<std::byte>((scale + 64 * k) % 256);
      }
      for (int j = 0; j < 32; ++j) {
        block[4 + j] = static_cast<std::byte>((pair + j) % 256);
      }
      decode_gguf_nvfp4(block, values);
      for (int i = 0; i < 64; ++i) {
        const int k = i / 16;
        const int byte = (pair + 8 * k + i % 8) % 256;
        const auto code =
            static_cast<uint8_t>(i % 16 < 8 ? byte % 16 : byte / 16);
        const auto byte_scale = static_cast<uint8_t>((scale + 64 * k) % 256);
        ASSERT_EQ(values[i],
                  gguf_nvfp4_scale(byte_scale) * f4e2m1_to_f32(code));
      }
    }
  }
}

TEST(GgufNvfp4Scale, IsE4m3WithoutASign) {
  for (int code = 0; code < 256; ++code) {
    const int exponent = code / 8 % 16;
    const int mantissa = code % 8;
    const double expected = code == 0x7f ? 0.0
                            : exponent == 0
                                ? mantissa * 0x1p-9
                                : (8 + mantissa) * std::pow(2.0, exponent - 10);
    EXPECT_EQ(gguf_nvfp4_scale(static_cast<uint8_t>(code)), expected) << code;
  }
}

TEST(GgufNvfp4Scale, OfEveryCodeIsThatCode) {
  for (uint8_t code = 0; code < 0x78; ++code) {
    EXPECT_EQ(gguf_nvfp4_scale_code(static_cast<float>(gguf_nvfp4_scale(code))),
              code);
  }
  // From 256 up there is only the last code.
  for (uint8_t code = 0x78; code < 0x7f; ++code) {
    EXPECT_EQ(gguf_nvfp4_scale_code(static_cast<float>(gguf_nvfp4_scale(code))),
              0x7e);
  }
}

TEST(GgufNvfp4Scale, RoundsHalfUpAndSaturates) {
  const std::pair<float, uint8_t> cases[] = {
      {0.0f, 0x00},
      {-1.0f, 0x00},
      {NAN, 0x00},
      {0x1p-10f, 0x01},  // half of the first subnormal
      {0.49f * 0x1p-9f, 0x00},
      {7.75f * 0x1p-9f, 0x07},  // not 0x08
      {0x1p-6f, 0x08},
      {1.0f + 1.0f / 16, 0x39},
      {std::nextafter(1.0f + 1.0f / 16, 0.0f), 0x38},
      {1.0f + 3.0f / 16, 0x3a},  // to even would be 0x3a too
      {1.0f + 5.0f / 16, 0x3b},  // and here 0x3a
      {247.9f, 0x77},
      {248.0f, 0x7e},
      {300.0f, 0x7e},
      {448.0f, 0x7e},
      {1e30f, 0x7e},
      {INFINITY, 0x7e},
  };
  for (const auto& [scale, code] : cases) {
    EXPECT_EQ(gguf_nvfp4_scale_code(scale), code) << scale;
  }
}

TEST(GgufFp4Ties, GoToTheSmallerMagnitudeAndZeroHasNoSign) {
  std::vector<float> x(32, 0.0f);
  x[0] = 6.0f;  // scale 1
  const std::pair<float, int> cases[] = {
      {0.25f, 0},  {-0.25f, 0}, {0.75f, 1},  {-0.75f, 9}, {1.25f, 2},
      {1.75f, 3},  {2.5f, 4},   {-2.5f, 12}, {3.5f, 5},   {5.0f, 6},
      {-5.0f, 14}, {-0.1f, 0},  {-0.0f, 0}};
  for (const auto& [value, code] : cases) {
    x[1] = value;
    std::byte block[kGgufMxfp4Bytes];
    encode_gguf_mxfp4(x.data(), block);
    EXPECT_EQ(std::to_integer<int>(block[0]), 127);
    EXPECT_EQ(std::to_integer<int>(block[2]) & 15, code) << value;
  }
}

TEST(GgufMxfp4Scale, OfTinyAndHugeValuesStaysInRange) {
  const std::pair<float, int> cases[] = {{1e-45f, 0},
                                         {0x1p-126f, 0},
                                         {0x1p-125f, 0},
                                         {0x1p-124f, 1},
                                         {std::nextafter(8.0f, 0.0f), 127},
                                         {8.0f, 128},
                                         {3e38f, 252}};
  for (const auto& [amax, scale] : cases) {
    const std::vector<float> x(32, -amax);
    std::byte block[kGgufMxfp4Bytes];
    encode_gguf_mxfp4(x.data(), block);
    EXPECT_EQ(std::to_integer<int>(block[0]), scale) << amax;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufFp4, testing::ValuesIn(kTypes),
                         [](const auto& type) { return type.param.name; });

}  // namespace
}  // namespace tessera::format
