// SPDX-License-Identifier: Apache-2.0
//
// Work is gone on with only if nothing that its result depends on has changed.

#include "framework/quant/pipeline/fingerprint.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "framework/model/model.hpp"

namespace tessera::quant {
namespace {

using InputSquares = std::map<std::string, std::vector<float>>;

TEST(Fingerprint, FollowsEveryFieldOfTheRecipe) {
  const auto model =
      open_model(std::string(TSR_SOURCE_DIR) + "/models/tessera-5m");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const QuantizeInputs inputs{model->config, model->source, nullptr, {}};
  const std::function<void(Recipe&)> changes[] = {
      [](Recipe&) {},
      [](Recipe& r) { r.schemes.default_scheme = "w8a16"; },
      [](Recipe& r) { r.schemes.fallback_scheme = "w8a16"; },
      [](Recipe& r) { r.schemes.disable_names = {"*.q_proj"}; },
      [](Recipe& r) { r.schemes.disable_level = 1; },
      [](Recipe& r) { r.metric = SensitivityMetric::kQuantile; },
      [](Recipe& r) { r.weights = WeightMethod::kGptq; },
      [](Recipe& r) { r.gptq.act_order = !r.gptq.act_order; },
      [](Recipe& r) { r.gptq.static_groups = !r.gptq.static_groups; },
      [](Recipe& r) { r.gptq.damping *= 2; },
      [](Recipe& r) { r.clip.num_steps += 1; },
      [](Recipe& r) { r.rotation_seed = 0; },
      [](Recipe& r) { r.rotation_seed = 1; },
      [](Recipe& r) { r.outliers.method = OutlierMethod::kAwq; },
      [](Recipe& r) { r.outliers.exponents.alpha += 0.125; },
      [](Recipe& r) { r.sparsity.zero_fraction = 0.5; },
      [](Recipe& r) { r.sparsity.importance = Importance::kWanda; },
      [](Recipe& r) { r.activations.percentile = 0.75; },
      [](Recipe& r) { r.search_rows += 1; }};
  std::set<std::string> seen;
  for (const auto& change : changes) {
    Recipe recipe;
    change(recipe);
    const std::string text = run_fingerprint(inputs, recipe);
    EXPECT_EQ(run_fingerprint(inputs, recipe), text);
    EXPECT_TRUE(seen.insert(text).second) << seen.size();
  }
}

TEST(Fingerprint, FollowsTheInputs) {
  const auto model =
      open_model(std::string(TSR_SOURCE_DIR) + "/models/tessera-5m");
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::set<std::string> seen;
  const auto add = [&](const ModelConfig& config, const WeightSource& source,
                       std::vector<std::vector<int32_t>> texts,
                       const InputSquares* importance) {
    QuantizeInputs inputs{config, source, nullptr, std::move(texts)};
    inputs.importance = importance;
    EXPECT_TRUE(seen.insert(run_fingerprint(inputs, {})).second) << seen.size();
  };
  const WeightSource& source = model->source;
  add(model->config, source, {}, nullptr);
  add(model->config, source, {{1, 2}}, nullptr);
  add(model->config, source, {{1}, {2}}, nullptr);
  const InputSquares ones = {{"w", {1.0f, 1.0f}}};
  const InputSquares twos = {{"w", {1.0f, 2.0f}}};
  add(model->config, source, {}, &ones);
  add(model->config, source, {}, &twos);
  ModelConfig fewer = model->config;
  fewer.num_layers -= 1;
  add(fewer, source, {}, nullptr);
  // One number of one weight.
  WeightSource changed = source;
  std::vector<std::byte> bytes;
  changed.tensor = [&](const std::string& name) {
    auto tensor = source.tensor(name);
    if (tensor.ok() && name == "model.layers.2.mlp.up_proj.weight") {
      bytes.assign(tensor->bytes.begin(), tensor->bytes.end());
      bytes[bytes.size() / 2] ^= std::byte{1};
      tensor->bytes = bytes;
    }
    return tensor;
  };
  add(model->config, changed, {}, nullptr);
}

}  // namespace
}  // namespace tessera::quant
