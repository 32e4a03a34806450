// SPDX-License-Identifier: Apache-2.0
//
// msModelSlim folders decode by the formulas of their description.

#include "framework/model/layouts/msmodelslim_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kN = 3;
constexpr uint32_t kK = 4;

std::vector<int8_t> codes() {
  return {-128, -1, 0, 127, 1, 2, 3, 4, -4, -3, -2, -1};
}

LayoutFolder folder_of(const char* type) {
  LayoutFolder folder;
  folder.config_file = kMsModelSlimDescription;
  folder.config = {{"model_quant_type", type},
                   {"version", "1.0.0"},
                   {std::string(kModule) + ".weight", type}};
  folder.put("weight", TSR_I8, {kN, kK}, codes());
  return folder;
}

LayoutFolder dynamic_folder(float offset) {
  LayoutFolder folder = folder_of("W8A8_DYNAMIC");
  folder.put<float>("weight_scale", TSR_F32, {kN, 1}, {0.5f, 2.0f, 4.0f});
  folder.put<float>("weight_offset", TSR_F32, {kN, 1},
                    {offset, offset, offset});
  return folder;
}

LayoutFolder static_folder(bool as_bits) {
  LayoutFolder folder = folder_of("W8A8");
  folder.put<float>("input_scale", TSR_F32, {1}, {0.5f});
  folder.put<float>("input_offset", TSR_F32, {1}, {3.0f});
  folder.put<int32_t>("quant_bias", TSR_I32, {kN}, {0, 0, 0});
  const std::vector<float> products = {0.25f, 1.0f, 2.0f};
  if (!as_bits) {
    folder.put("deq_scale", TSR_F32, {kN}, products);
    return folder;
  }
  std::vector<int64_t> bits;
  for (const float product : products) {
    bits.push_back(std::bit_cast<uint32_t>(product));
  }
  folder.put("deq_scale", TSR_I64, {kN}, bits);
  return folder;
}

std::vector<float> expected(float offset) {
  const float scales[] = {0.5f, 2.0f, 4.0f};
  std::vector<float> values;
  for (size_t i = 0; i < codes().size(); ++i) {
    values.push_back((static_cast<float>(codes()[i]) - offset) *
                     scales[i / kK]);
  }
  return values;
}

TEST(MsModelSlimLayout, TakesTheOffsetBeforeTheScale) {
  for (const float offset : {0.0f, 5.0f, -128.0f}) {
    const auto values = dynamic_folder(offset).read();
    ASSERT_TRUE(values.ok()) << values.status().message();
    EXPECT_EQ(*values, expected(offset)) << offset;
  }
}

TEST(MsModelSlimLayout, TakesTheInputsScaleOutOfTheirProduct) {
  for (const bool as_bits : {false, true}) {
    const auto values = static_folder(as_bits).read();
    ASSERT_TRUE(values.ok()) << values.status().message();
    EXPECT_EQ(*values, expected(0.0f)) << as_bits;
  }
}

TEST(MsModelSlimLayout, ChecksEveryTensor) {
  expect_each_is_checked(dynamic_folder(1.0f),
                         {"weight", "weight_scale", "weight_offset"});
  expect_each_is_checked(
      static_folder(false),
      {"weight", "input_scale", "input_offset", "quant_bias", "deq_scale"});
}

TEST(MsModelSlimLayout, RefusesNumbersThatCannotBe) {
  EXPECT_THAT(dynamic_folder(0.5f).error(), HasSubstr("weight_offset"));
  EXPECT_THAT(dynamic_folder(200.0f).error(), HasSubstr("weight_offset"));
  LayoutFolder folder = static_folder(false);
  folder.put<float>("input_offset", TSR_F32, {1}, {1e9f});
  EXPECT_THAT(folder.error(), HasSubstr("input_offset"));
  folder.put<float>("input_offset", TSR_F32, {1}, {0.0f});
  folder.put<float>("input_scale", TSR_F32, {1}, {0.0f});
  EXPECT_THAT(folder.error(), HasSubstr("scale"));
}

TEST(MsModelSlimLayout, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(folder_of("W4A4_FLATQUANT_DYNAMIC").error(),
              HasSubstr("W4A4_FLATQUANT_DYNAMIC"));
  LayoutFolder folder = dynamic_folder(0.0f);
  folder.config = nlohmann::json::array();
  EXPECT_THAT(folder.error(), HasSubstr(kMsModelSlimDescription));
}

}  // namespace
}  // namespace tessera
