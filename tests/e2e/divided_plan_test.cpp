// SPDX-License-Identifier: Apache-2.0
//
// A layer divided over devices, and phases on different devices, compute what
// one device does.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "framework/model/build_graph.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using ::testing::HasSubstr;

using Change = std::function<void(const Graph&, Plan&)>;

// The default model on "cpu" by a plan that `change` has changed; "second" is
// another device of the same backend, in a child process.
Result<std::unique_ptr<LoadedModel>> load_changed(const std::string& scheme,
                                                  const Change& change) {
  TSR_ASSIGN_OR_RETURN(Model model, open_model(default_model_folder()));
  auto loaded =
      std::make_unique<LoadedModel>(LoadedModel{std::move(model), nullptr});
  SessionOptions options;
  options.max_context = 128;
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(loaded->model.config, 128));
  DeviceMap devices;
  TSR_ASSIGN_OR_RETURN(devices["cpu"], open_cpu({}, false));
  TSR_ASSIGN_OR_RETURN(devices["second"], open_cpu({}, true));
  TSR_ASSIGN_OR_RETURN(const Scheme found, find_scheme(scheme));
  Plan plan = uniform_plan(graph, "cpu", found);
  change(graph, plan);
  TSR_ASSIGN_OR_RETURN(loaded->session,
                       Session::create(std::move(graph), plan,
                                       loaded->model.source, devices, options));
  return loaded;
}

// Logits of a prefill step and of two decode steps.
std::vector<float> logits_of(LoadedModel& model) {
  const auto ids = model.encode("library for reading and writing");
  const uint32_t sequence = *model.session->open_sequence();
  std::vector<float> all;
  const auto step = [&](std::span<const int32_t> tokens, uint32_t phase) {
    const Feed feed{sequence, tokens, phase, 1};
    const Status status = model.session->step({&feed, 1});
    EXPECT_TRUE(status.ok()) << status.message();
    const auto logits = model.session->logits(0);
    all.insert(all.end(), logits.begin(), logits.end());
  };
  step(ids, TSR_PREFILL);
  step(std::span(ids).first(1), TSR_DECODE);
  step(std::span(ids).last(1), TSR_DECODE);
  model.session->close_sequence(sequence);
  return all;
}

std::vector<int32_t> tokens_of(LoadedModel& model) {
  const auto made = model.generate(model.encode("library for"), 24);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? made->tokens : std::vector<int32_t>{};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// All linears of layers, a third of the rows on the second device.
void divide_all(const Graph& graph, Plan& plan) {
  plan.parts.resize(graph.weights.size());
  for (size_t i = 0; i < graph.weights.size(); ++i) {
    if (graph.weights[i].is_head) continue;
    const uint32_t N = graph.weights[i].N;
    const uint32_t cut = N - N / 3;
    plan.parts[i] = {{"cpu", 0, cut}, {"second", cut, N}};
  }
}

class Divided : public ::testing::TestWithParam<const char*> {};

// Each output is a sum over K alone, so which rows a program has changes no
// integer result; a float kernel may choose its blocks by N.
TEST_P(Divided, GivesTheTokensOfOneDevice) {
  auto whole = load_changed(GetParam(), [](const Graph&, Plan&) {});
  auto divided = load_changed(GetParam(), divide_all);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  ASSERT_TRUE(divided.ok()) << divided.status().message();
  EXPECT_EQ(tokens_of(**divided), tokens_of(**whole));
  EXPECT_TRUE(same_bits(logits_of(**divided), logits_of(**divided)));
  if (std::string(GetParam()) == "w8a8_dynamic") {
    EXPECT_TRUE(same_bits(logits_of(**divided), logits_of(**whole)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Divided, ::testing::Values("f32", "w8a8_dynamic", "w4a16_g32", "q8_0"),
    [](const auto& scheme) { return std::string(scheme.param); });

TEST(Divided, EachDeviceHasItsRowsOnly) {
  auto whole = load_changed("w8a8_dynamic", [](const Graph&, Plan&) {});
  auto divided = load_changed("w8a8_dynamic", divide_all);
  ASSERT_TRUE(whole.ok() && divided.ok());
  // Rows are padded to whole tiles, once more per part.
  EXPECT_LT((*divided)->session->memory().weight_bytes,
            (*whole)->session->memory().weight_bytes * 11 / 10);
}

TEST(Divided, RunsAWholeLinearElsewhere) {
  auto whole = load_changed("w8a8_dynamic", [](const Graph&, Plan&) {});
  auto moved = load_changed("w8a8_dynamic", [](const Graph& graph, Plan& plan) {
    std::vector<LayerPlan> ops;
    for (uint32_t i = 0; i < graph.ops.size(); ++i) {
      ops.push_back(plan.of_op(graph, i));
      if (graph.ops[i].name.ends_with("down_proj")) {
        ops[i].device = "second";
      }
    }
    plan.ops = std::move(ops);
  });
  ASSERT_TRUE(whole.ok() && moved.ok());
  EXPECT_TRUE(same_bits(logits_of(**moved), logits_of(**whole)));
}

// MLPs on the second device in decode only.
void part_phases(const Graph& graph, Plan& plan) {
  Plan decode = plan;
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    decode.ops.push_back(plan.of_op(graph, i));
    if (graph.ops[i].name.find(".mlp.") != std::string::npos) {
      decode.ops.back().device = "second";
    }
  }
  plan.decode = std::make_shared<const Plan>(decode);
}

TEST(Phases, OnTwoDevicesGiveTheBitsOfOne) {
  auto one = load_changed("w8a8_dynamic", [](const Graph&, Plan&) {});
  auto two = load_changed("w8a8_dynamic", part_phases);
  ASSERT_TRUE(one.ok()) << one.status().message();
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_TRUE(same_bits(logits_of(**two), logits_of(**one)));
  EXPECT_EQ(tokens_of(**two), tokens_of(**one));
}

// What both phases use on one device is there once, what they do not twice.
TEST(Phases, HoldTwiceOnlyWhatParts) {
  auto one = load_changed("w8a8_dynamic", [](const Graph&, Plan&) {});
  auto two = load_changed("w8a8_dynamic", part_phases);
  ASSERT_TRUE(one.ok() && two.ok());
  const auto& once = (*one)->session->memory();
  const auto& twice = (*two)->session->memory();
  EXPECT_EQ(twice.kv_bytes, once.kv_bytes);
  EXPECT_GT(twice.weight_bytes, once.weight_bytes * 5 / 4);
  EXPECT_LT(twice.weight_bytes, once.weight_bytes * 2);
}

// Decode reads the weights of prefill through another way of rounding inputs.
TEST(Phases, MayDifferInPrecision) {
  auto parted = load_changed("w8a8_dynamic", [](const Graph&, Plan& plan) {
    Plan decode = plan;
    for (LayerPlan& layer : decode.layers) {
      layer.scheme = *find_scheme("w8a16");
      layer.scheme.kv_format = plan.before.scheme.kv_format;
    }
    plan.decode = std::make_shared<const Plan>(decode);
  });
  auto exact = load_changed("w8a8_dynamic", [](const Graph&, Plan&) {});
  ASSERT_TRUE(parted.ok()) << parted.status().message();
  ASSERT_TRUE(exact.ok());
  const std::vector<float> a = logits_of(**parted);
  const std::vector<float> b = logits_of(**exact);
  const size_t one_step = a.size() / 3;
  EXPECT_TRUE(same_bits({a.begin(), a.begin() + static_cast<long>(one_step)},
                        {b.begin(), b.begin() + static_cast<long>(one_step)}));
  EXPECT_FALSE(same_bits(a, b));
}

TEST(Divided, RefusesAFormatWithOneScaleForAllRows) {
  const auto loaded = load_changed("nvfp4", divide_all);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.status().message(), HasSubstr("one scale for all"));
}

}  // namespace
}  // namespace tessera::e2e
