// SPDX-License-Identifier: Apache-2.0
//
// ModelOpt folders decode by the formulas of their description.

#include "framework/model/layouts/modelopt_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kN = 2;
constexpr uint32_t kK = 32;

// E2M1 and E4M3 by their bits.
constexpr float kHalves[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
constexpr uint8_t kOne = 0x38;   // E4M3 of 1
constexpr uint8_t kHalf = 0x30;  // E4M3 of 0.5

LayoutFolder nvfp4_folder() {
  LayoutFolder folder;
  folder.config_file = "hf_quant_config.json";
  folder.config["quantization"] = {{"quant_algo", "NVFP4"}};
  std::vector<uint8_t> codes;
  for (uint32_t i = 0; i < kN * kK / 2; ++i) {
    codes.push_back(static_cast<uint8_t>(i * 37));
  }
  folder.put("weight", TSR_U8, {kN, kK / 2}, codes);
  folder.put<uint8_t>("weight_scale", TSR_F8E4M3, {kN, kK / 16},
                      {kOne, kHalf, kHalf, kOne});
  folder.put<float>("weight_scale_2", TSR_F32, {}, {0.25f});
  return folder;
}

LayoutFolder fp8_folder() {
  LayoutFolder folder;
  folder.config["quantization_config"] = {{"quant_method", "modelopt"},
                                          {"quant_algo", "FP8"}};
  folder.put("weight", TSR_F8E4M3, {kN, kK},
             std::vector<uint8_t>(kN * kK, kHalf));
  folder.put<float>("weight_scale", TSR_F32, {}, {3.0f});
  return folder;
}

TEST(ModelOptLayout, DecodesNvfp4WithAFactorForTheTensor) {
  const auto values = nvfp4_folder().read();
  ASSERT_TRUE(values.ok()) << values.status().message();
  const float scales[] = {1.0f, 0.5f, 0.5f, 1.0f};
  for (uint32_t i = 0; i < kN * kK; ++i) {
    const auto pair = static_cast<uint8_t>(i / 2 * 37);
    const uint32_t code = i % 2 == 0 ? pair & 15U : pair >> 4U;
    const float size = kHalves[code & 7U] * scales[i / 16] * 0.25f;
    EXPECT_EQ((*values)[i], code < 8 ? size : -size) << i;
  }
}

TEST(ModelOptLayout, DecodesFp8) {
  EXPECT_EQ(*fp8_folder().read(), std::vector<float>(kN * kK, 1.5f));
}

TEST(ModelOptLayout, ChecksEveryTensor) {
  expect_each_is_checked(nvfp4_folder(), {"weight_scale_2"});
  LayoutFolder folder = nvfp4_folder();
  folder.put<uint8_t>("weight_scale", TSR_F8E4M3, {kN, 1}, {kOne, kOne});
  EXPECT_THAT(folder.error(), HasSubstr("weight_scale"));
  folder = nvfp4_folder();
  folder.put<uint8_t>("weight_scale", TSR_F8E4M3, {kN, 2},
                      {kOne, kOne, 0x7f, kOne});
  EXPECT_NE(folder.error(), "") << "a scale is NaN";
  folder = nvfp4_folder();
  folder.put<float>("weight_scale_2", TSR_F32, {}, {-1.0f});
  EXPECT_NE(folder.error(), "") << "the tensor's scale is negative";
}

TEST(ModelOptLayout, RefusesWhatItDoesNotKnow) {
  LayoutFolder folder = fp8_folder();
  folder.config["quantization_config"]["quant_algo"] = "W4A8_AWQ";
  EXPECT_THAT(folder.error(), HasSubstr("W4A8_AWQ"));
  folder.config["quantization_config"].erase("quant_algo");
  EXPECT_THAT(folder.error(), HasSubstr("quant_algo"));
}

}  // namespace
}  // namespace tessera
