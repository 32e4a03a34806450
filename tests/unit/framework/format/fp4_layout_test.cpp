// SPDX-License-Identifier: Apache-2.0

#include "framework/format/fp4_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string_view>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/gguf/gguf_fp4.hpp"
#include "tests/unit/framework/format/golden_vectors.hpp"

namespace tessera::format {
namespace {

using testing::HasSubstr;

constexpr uint32_t kN = 3;
constexpr uint32_t kK = 128;

WeightData random_weight(uint32_t format) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t{kN} * kK);
  for (float& value : values) value = normal(rng);
  return *encode_weight({.format = format}, kN, kK, values);
}

float scale2_of(const WeightData& weight) {
  const Plane* plane = weight.find(TSR_PLANE_SCALE2);
  return plane == nullptr ? 1.0f : load_element<float>(plane->row(0), 0);
}

double value_at(const WeightData& weight, uint32_t n, uint32_t k) {
  const Plane* scale = weight.find(TSR_PLANE_SCALE);
  return element_value(TSR_F4E2M1, weight.find(TSR_PLANE_CODES)->row(n), k) *
         element_value(scale->dtype, scale->row(n), k / scale->block_k) *
         scale2_of(weight);
}

void expect_same_planes(const WeightData& a, const WeightData& b) {
  for (const uint32_t role : {TSR_PLANE_CODES, TSR_PLANE_SCALE}) {
    EXPECT_EQ(a.find(role)->owned, b.find(role)->owned);
  }
}

struct LayoutCase {
  std::string name;
  Fp4Layout layout;
  uint32_t format;
};
const LayoutCase kLayouts[] = {
    {"Nvfp4CompressedTensors", Fp4Layout::kNvfp4CompressedTensors,
     TSR_WEIGHT_NVFP4},
    {"Nvfp4ModelOpt", Fp4Layout::kNvfp4ModelOpt, TSR_WEIGHT_NVFP4},
    {"Nvfp4Gguf", Fp4Layout::kNvfp4Gguf, TSR_WEIGHT_NVFP4},
    {"Mxfp4CompressedTensors", Fp4Layout::kMxfp4CompressedTensors,
     TSR_WEIGHT_MXFP4},
    {"Mxfp4Gguf", Fp4Layout::kMxfp4Gguf, TSR_WEIGHT_MXFP4},
};

class Fp4RoundTrip : public testing::TestWithParam<LayoutCase> {};

// A divisor is rounded on the way out and on the way in, by 2^-24 each.
TEST_P(Fp4RoundTrip, KeepsCodesAndScales) {
  const WeightData weight = random_weight(GetParam().format);
  const auto bytes = write_fp4(GetParam().layout, weight);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const auto again = read_fp4(GetParam().layout, kN, kK, bytes->tensors());
  ASSERT_TRUE(again.ok()) << again.status().message();
  expect_same_planes(weight, *again);
  if (GetParam().layout == Fp4Layout::kNvfp4CompressedTensors) {
    EXPECT_NEAR(scale2_of(*again) / scale2_of(weight), 1.0, 0x1p-22);
  } else {
    EXPECT_EQ(scale2_of(*again), scale2_of(weight));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Fp4RoundTrip, testing::ValuesIn(kLayouts),
                         [](const auto& param) { return param.param.name; });

TEST(Fp4Layout, AWeightGoesThroughAllThreeLayoutsOfNvfp4) {
  const WeightData first = random_weight(TSR_WEIGHT_NVFP4);
  WeightData weight = first;
  for (const Fp4Layout layout :
       {Fp4Layout::kNvfp4Gguf, Fp4Layout::kNvfp4CompressedTensors,
        Fp4Layout::kNvfp4ModelOpt, Fp4Layout::kNvfp4Gguf}) {
    const auto bytes = write_fp4(layout, weight);
    ASSERT_TRUE(bytes.ok());
    weight = *read_fp4(layout, kN, kK, bytes->tensors());
  }
  expect_same_planes(first, weight);
  EXPECT_NEAR(scale2_of(weight) / scale2_of(first), 1.0, 0x1p-22);
}

// x = q * scale / global in one, q * scale * scale_2 in the other.
TEST(Fp4Layout, OneConventionDividesAndTheOtherMultiplies) {
  const WeightData weight = random_weight(TSR_WEIGHT_NVFP4);
  const float multiplier = scale2_of(weight);
  EXPECT_EQ(write_fp4(Fp4Layout::kNvfp4CompressedTensors, weight)->tensor_scale,
            1.0f / multiplier);
  EXPECT_EQ(write_fp4(Fp4Layout::kNvfp4ModelOpt, weight)->tensor_scale,
            multiplier);
  EXPECT_EQ(write_fp4(Fp4Layout::kNvfp4Gguf, weight)->tensor_scale, multiplier);
}

struct GgufCase {
  std::string name;
  Fp4Layout layout;
  uint32_t values;
  uint32_t bytes;
  void (*decode)(const std::byte* block, double* out_values);
};

TEST(Fp4Layout, GgufBlocksBecomePlanesOfTheSameValues) {
  const GgufCase cases[] = {
      {"nvfp4", Fp4Layout::kNvfp4Gguf, kGgufNvfp4Values, kGgufNvfp4Bytes,
       decode_gguf_nvfp4},
      {"mxfp4", Fp4Layout::kMxfp4Gguf, kGgufMxfp4Values, kGgufMxfp4Bytes,
       decode_gguf_mxfp4},
  };
  for (const GgufCase& test : cases) {
    const std::vector<std::byte> blocks =
        read_golden(test.name + ".blocks.bin");
    const auto weight =
        read_fp4(test.layout, 32, 256, {.codes = blocks, .scales = {}});
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    std::vector<double> values(test.values);
    for (uint32_t i = 0; i < 8192; i += test.values) {
      test.decode(&blocks[i / test.values * test.bytes], values.data());
      for (uint32_t j = 0; j < test.values; ++j) {
        ASSERT_EQ(value_at(*weight, (i + j) / 256, (i + j) % 256), values[j])
            << test.name << " " << i + j;
      }
    }
    EXPECT_EQ(write_fp4(test.layout, *weight)->codes, blocks);
  }
}

// Every byte that a scale of a GGUF block can be.
TEST(Fp4Layout, GgufScalesKeepTheirValueOrAreRefused) {
  std::vector<std::byte> block(kGgufNvfp4Bytes, std::byte{0x22});
  for (int code = 0; code < 256; ++code) {
    block[2] = static_cast<std::byte>(code);
    const auto weight =
        read_fp4(Fp4Layout::kNvfp4Gguf, 1, 64, {.codes = block, .scales = {}});
    if (code == 0xff) {
      EXPECT_THAT(weight.status().message(), HasSubstr("480"));
      continue;
    }
    ASSERT_TRUE(weight.ok()) << code;
    EXPECT_EQ(value_at(*weight, 0, 32),
              gguf_nvfp4_scale(static_cast<uint8_t>(code)));
  }
  std::vector<std::byte> mx(kGgufMxfp4Bytes, std::byte{0x22});
  mx[0] = std::byte{0xff};
  EXPECT_THAT(
      read_fp4(Fp4Layout::kMxfp4Gguf, 1, 32, {.codes = mx, .scales = {}})
          .status()
          .message(),
      HasSubstr("scale 255 is NaN"));
}

TEST(Fp4Layout, NamesTellTheLayoutsApart) {
  using Names = std::vector<std::string_view>;
  const std::pair<Names, Fp4Layout> cases[] = {
      {{"weight_packed", "weight_scale", "weight_global_scale"},
       Fp4Layout::kNvfp4CompressedTensors},
      {{"weight", "weight_scale", "weight_scale_2", "input_scale"},
       Fp4Layout::kNvfp4ModelOpt},
      {{"weight_packed", "weight_scale"}, Fp4Layout::kMxfp4CompressedTensors},
  };
  for (const auto& [names, layout] : cases) {
    const auto found = find_fp4_layout(names);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, layout);
  }
  const Names refused[] = {
      {"weight"},
      {"weight", "weight_scale"},                         // int8
      {"weight_packed", "weight_scale", "weight_shape"},  // int4
      {"weight_packed", "weight_scale", "weight_global_scale",
       "weight_scale_2"},
  };
  for (const Names& names : refused) {
    EXPECT_EQ(find_fp4_layout(names).status().code(), TSR_INVALID_ARGUMENT);
  }
}

TEST(Fp4Layout, RefusesWhatDoesNotFitTogether) {
  const std::vector<std::byte> codes(64);
  std::vector<std::byte> scales(8);
  const auto message = [&](Fp4Layout layout, uint32_t K, float tensor_scale) {
    return read_fp4(layout, 1, K, {codes, scales, tensor_scale})
        .status()
        .message();
  };
  constexpr auto kDivides = Fp4Layout::kNvfp4CompressedTensors;
  constexpr auto kMultiplies = Fp4Layout::kNvfp4ModelOpt;
  EXPECT_EQ(message(kDivides, 128, 2.0f), "");
  EXPECT_EQ(message(kMultiplies, 128, 0.0f), "");
  EXPECT_EQ(message(kDivides, 128, 0.0f), "read nvfp4: tensor scale 0.000000");
  EXPECT_THAT(message(kDivides, 128, 1e-45f), HasSubstr("tensor scale inf"));
  EXPECT_THAT(message(kMultiplies, 128, NAN), HasSubstr("tensor scale"));
  EXPECT_THAT(message(kMultiplies, 128, -1.0f), HasSubstr("tensor scale -1"));
  EXPECT_EQ(message(kMultiplies, 120, 1.0f),
            "read nvfp4: K=120 is not a multiple of 16");
  EXPECT_EQ(message(kMultiplies, 112, 1.0f),
            "read nvfp4: codes have 64 bytes, not 56");
  EXPECT_EQ(message(Fp4Layout::kMxfp4CompressedTensors, 128, 1.0f),
            "read mxfp4: scales have 8 bytes, not 4");
  EXPECT_EQ(message(Fp4Layout::kNvfp4Gguf, 128, 1.0f),
            "read nvfp4: blocks have 64 bytes, not 72");
  EXPECT_THAT(message(kMultiplies, 0, 1.0f), HasSubstr("shape [1, 0]"));
  scales[3] = std::byte{0x7f};
  EXPECT_EQ(message(kMultiplies, 128, 1.0f), "read nvfp4: scale 127 is NaN");

  WeightData weight = random_weight(TSR_WEIGHT_NVFP4);
  EXPECT_EQ(write_fp4(Fp4Layout::kMxfp4Gguf, weight).status().message(),
            "write mxfp4: the weight is nvfp4");
  weight.find(TSR_PLANE_SCALE)->owned[0] = std::byte{0x81};
  EXPECT_EQ(write_fp4(Fp4Layout::kNvfp4Gguf, weight).status().message(),
            "write nvfp4: scale 129 is negative");
  EXPECT_TRUE(write_fp4(kMultiplies, weight).ok());
}

}  // namespace
}  // namespace tessera::format
