// SPDX-License-Identifier: Apache-2.0
//
// Whatever a quantized folder's JSON says, reading it ends in a layout or in
// one error.

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr int kRounds = 400;

// Configs that are read, one per method, over the same eight tensors.
std::vector<LayoutFolder> folders() {
  LayoutFolder base;
  base.put("weight", TSR_I8, {8, 32}, std::vector<int8_t>(256, 1));
  base.put("weight_scale", TSR_F32, {8, 1}, std::vector<float>(8, 1.0f));
  base.put("weight_offset", TSR_F32, {8, 1}, std::vector<float>(8, 0.0f));
  base.put("weight_packed", TSR_I32, {8, 4}, std::vector<int32_t>(32, 7));
  base.put("weight_shape", TSR_I64, {2}, std::vector<int64_t>{8, 32});
  base.put("qweight", TSR_I32, {4, 8}, std::vector<int32_t>(32, 7));
  base.put("qzeros", TSR_I32, {1, 1}, std::vector<int32_t>(1, 7));
  base.put("scales", TSR_F32, {1, 8}, std::vector<float>(8, 1.0f));

  std::vector<LayoutFolder> all(4, base);
  all[0].config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"config_groups",
       {{"group_0",
         {{"targets", {"Linear", "re:.*up_proj"}},
          {"weights",
           {{"num_bits", 4}, {"type", "int"}, {"strategy", "channel"}}},
          {"input_activations",
           {{"num_bits", 8}, {"type", "int"}, {"dynamic", true}}}}}}}};
  all[1].config["quantization_config"] = {{"quant_method", "gptq"},
                                          {"bits", 4},
                                          {"group_size", 32},
                                          {"sym", false}};
  all[2].config_file = "hf_quant_config.json";
  all[2].config["quantization"] = {{"quant_algo", "NVFP4"}};
  all[3].config_file = "quant_model_description.json";
  all[3].config = {{"group_size", 32},
                   {std::string(kModule) + ".weight", "W8A8_DYNAMIC"}};
  return all;
}

std::vector<json::json_pointer> places(const json& document) {
  std::vector<json::json_pointer> all;
  const json flat = document.flatten();  // which items() refers to
  for (const auto& [path, value] : flat.items()) {
    for (json::json_pointer at(path); !at.empty(); at = at.parent_pointer()) {
      all.push_back(at);
    }
  }
  return all;
}

json odd_value(std::mt19937& rng) {
  const json values[] = {nullptr,
                         true,
                         0,
                         -1,
                         1,
                         3,
                         7,
                         8,
                         31,
                         33,
                         64,
                         INT64_MAX,
                         INT64_MIN,
                         UINT64_MAX,
                         1e300,
                         -0.5,
                         "",
                         "4",
                         "float",
                         "re:(",
                         "re:.*",
                         "Linear",
                         "group",
                         "tensor",
                         "W8A8",
                         "W8A16",
                         "gptq",
                         "awq",
                         json::array(),
                         json::object(),
                         json::array({json::array()}),
                         std::string(3000, 'a')};
  return values[rng() % std::size(values)];
}

TEST(QuantizedConfig, MutatedEndsInALayoutOrOneError) {
  std::mt19937 rng(42);
  int read = 0;
  int refused = 0;
  for (const LayoutFolder& whole : folders()) {
    for (int round = 0; round < kRounds; ++round) {
      LayoutFolder folder = whole;
      for (auto change = rng() % 3 + 1; change > 0; --change) {
        const auto all = places(folder.config);
        if (all.empty()) break;
        const json::json_pointer& at = all[rng() % all.size()];
        json& parent = folder.config.at(at.parent_pointer());
        if (rng() % 4 == 0 && parent.is_object()) {
          parent.erase(at.back());
        } else {
          folder.config.at(at) = odd_value(rng);
        }
      }
      const auto values = folder.read();
      values.ok() ? ++read : ++refused;
      EXPECT_TRUE(values.ok() || !values.status().message().empty());
    }
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 0);
}

TEST(QuantizedConfig, CutShortIsOneError) {
  for (const LayoutFolder& whole : folders()) {
    const std::string text = whole.config.dump();
    for (size_t size = 1; size < text.size(); size += 3) {
      const ScratchFolder scratch;
      scratch.write(whole.config_file, text.substr(0, size));
      const auto layout = find_quantized_layout(scratch.path());
      EXPECT_FALSE(layout.ok()) << text.substr(0, size);
    }
  }
}

}  // namespace
}  // namespace tessera
