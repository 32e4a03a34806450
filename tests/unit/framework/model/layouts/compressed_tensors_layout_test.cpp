// SPDX-License-Identifier: Apache-2.0
//
// compressed-tensors folders, packed here from the format's description, decode
// to what was packed.

#include "framework/model/layouts/compressed_tensors_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr uint32_t kN = 12;  // no whole words of zero points
constexpr uint32_t kK = 32;
constexpr uint32_t kGroupSize = 16;
constexpr uint32_t kGroups = kK / kGroupSize;

json config_of(json weights, json input = nullptr) {
  json group = {{"targets", {"Linear"}}, {"weights", std::move(weights)}};
  if (!input.is_null()) group["input_activations"] = std::move(input);
  return {{"quantization_config",
           {{"quant_method", "compressed-tensors"},
            {"format", "pack-quantized"},
            {"config_groups", {{"group_0", std::move(group)}}}}}};
}

json group_weights(bool symmetric) {
  return {{"num_bits", 4},
          {"type", "int"},
          {"symmetric", symmetric},
          {"strategy", "group"},
          {"group_size", kGroupSize}};
}

struct Packed {
  LayoutFolder folder;
  std::vector<float> values;
};

std::vector<int32_t> random_codes(size_t count, int32_t low, int32_t high) {
  std::mt19937 rng(42);
  std::uniform_int_distribution<int32_t> code(low, high);
  std::vector<int32_t> codes(count);
  for (int32_t& each : codes) each = code(rng);
  return codes;
}

Packed packed_int4(bool symmetric, bool act_order) {
  Packed packed;
  packed.folder.config = config_of(group_weights(symmetric));
  const std::vector<int32_t> codes = random_codes(kN * kK, -8, 7);
  const std::vector<int32_t> zeros = random_codes(kN * kGroups, -8, 7);
  std::vector<uint32_t> words(kN * kK / 8);
  for (size_t i = 0; i < codes.size(); ++i) {
    words[i / 8] |= static_cast<uint32_t>(codes[i] + 8) << (i % 8 * 4);
  }
  packed.folder.put("weight_packed", TSR_I32, {kN, kK / 8}, words);
  packed.folder.put<int64_t>("weight_shape", TSR_I64, {2}, {kN, kK});
  std::vector<float> scales;
  for (uint32_t i = 0; i < kN * kGroups; ++i) {
    scales.push_back(0.25f + static_cast<float>(i));
  }
  packed.folder.put("weight_scale", TSR_F32, {kN, kGroups}, scales);
  if (!symmetric) {
    std::vector<uint32_t> zero_words((kN + 7) / 8 * kGroups);
    for (uint32_t n = 0; n < kN; ++n) {
      for (uint32_t group = 0; group < kGroups; ++group) {
        zero_words[n / 8 * kGroups + group] |=
            static_cast<uint32_t>(zeros[n * kGroups + group] + 8)
            << (n % 8 * 4);
      }
    }
    packed.folder.put("weight_zero_point", TSR_I32, {(kN + 7) / 8, kGroups},
                      zero_words);
  }
  std::vector<int32_t> group_of(kK);
  for (uint32_t k = 0; k < kK; ++k) {
    group_of[k] =
        static_cast<int32_t>(act_order ? k % kGroups : k / kGroupSize);
  }
  if (act_order) packed.folder.put("weight_g_idx", TSR_I32, {kK}, group_of);
  for (uint32_t n = 0; n < kN; ++n) {
    for (uint32_t k = 0; k < kK; ++k) {
      const uint32_t at = n * kGroups + static_cast<uint32_t>(group_of[k]);
      const int32_t zero = symmetric ? 0 : zeros[at];
      packed.values.push_back(scales[at] *
                              static_cast<float>(codes[n * kK + k] - zero));
    }
  }
  return packed;
}

Packed channel_int8() {
  Packed packed;
  packed.folder.config =
      config_of({{"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}},
                {{"num_bits", 8}, {"type", "int"}, {"dynamic", true}});
  std::vector<int8_t> codes;
  for (const int32_t code : random_codes(kN * kK, -128, 127)) {
    codes.push_back(static_cast<int8_t>(code));
  }
  packed.folder.put("weight", TSR_I8, {kN, kK}, codes);
  std::vector<float> scales;
  for (uint32_t n = 0; n < kN; ++n)
    scales.push_back(0.5f + static_cast<float>(n));
  packed.folder.put("weight_scale", TSR_F32, {kN, 1}, scales);
  for (uint32_t i = 0; i < kN * kK; ++i) {
    packed.values.push_back(scales[i / kK] * static_cast<float>(codes[i]));
  }
  return packed;
}

TEST(CompressedTensorsLayout, DecodesPackedInt4) {
  for (const bool symmetric : {false, true}) {
    for (const bool act_order : {false, true}) {
      const Packed packed = packed_int4(symmetric, act_order);
      const auto values = packed.folder.read();
      ASSERT_TRUE(values.ok()) << values.status().message();
      EXPECT_EQ(*values, packed.values)
          << "symmetric " << symmetric << ", act-order " << act_order;
    }
  }
}

TEST(CompressedTensorsLayout, DecodesInt8) {
  const Packed packed = channel_int8();
  const auto values = packed.folder.read();
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(*values, packed.values);
}

TEST(CompressedTensorsLayout, ChecksEveryTensor) {
  expect_each_is_checked(packed_int4(false, false).folder,
                         {"weight_shape", "weight_scale", "weight_zero_point"});
  expect_each_is_checked(channel_int8().folder, {"weight"});
}

TEST(CompressedTensorsLayout, RefusesShapesThatCannotBe) {
  const LayoutFolder whole = packed_int4(true, false).folder;
  for (const int64_t extent : {int64_t{0}, int64_t{-1}, int64_t{1} << 40}) {
    LayoutFolder folder = whole;
    folder.put<int64_t>("weight_shape", TSR_I64, {2}, {extent, kK});
    EXPECT_THAT(folder.error(), HasSubstr("weight_shape")) << extent;
  }
}

TEST(CompressedTensorsLayout, GoesByTheMostPreciseTarget) {
  Packed packed = channel_int8();
  json& groups = packed.folder.config["quantization_config"]["config_groups"];
  json int4 = {{"targets", {"Linear"}}, {"weights", group_weights(true)}};
  groups["group_1"] = groups["group_0"];
  groups["group_1"]["targets"] = {"re:.*up_proj$"};
  groups["group_0"] = std::move(int4);
  EXPECT_EQ(*packed.folder.read(), packed.values);
  groups["group_1"]["targets"] = {"re:.*(unclosed"};
  EXPECT_NE(packed.folder.error(), "");
  groups["group_1"]["targets"] = {"another.module"};
  groups.erase("group_0");
  EXPECT_THAT(packed.folder.error(), HasSubstr("no target"));
}

TEST(CompressedTensorsLayout, RefusesWhatItDoesNotKnow) {
  const LayoutFolder whole = packed_int4(true, false).folder;
  const auto error_with = [&whole](const char* path, json value) {
    LayoutFolder folder = whole;
    const std::string base = "/quantization_config/";
    folder.config[json::json_pointer(base + path)] = std::move(value);
    return folder.error();
  };
  const std::string weights = "config_groups/group_0/weights/";
  EXPECT_THAT(error_with((weights + "num_bits").c_str(), 3),
              HasSubstr("num_bits 3"));
  EXPECT_THAT(error_with((weights + "strategy").c_str(), "block"),
              HasSubstr("block"));
  EXPECT_THAT(error_with((weights + "group_size").c_str(), 0),
              HasSubstr("group_size"));
  EXPECT_THAT(error_with("config_groups", json::array()),
              HasSubstr("config_groups"));
  EXPECT_THAT(error_with("sparsity_config", {{"format", "sparse-bitmask"}}),
              HasSubstr("sparse-bitmask"));
}

}  // namespace
}  // namespace tessera
