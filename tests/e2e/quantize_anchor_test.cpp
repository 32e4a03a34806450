// SPDX-License-Identifier: Apache-2.0
//
// Quantized tiny models come as close to their originals as an independent
// evaluator says such schemes do.

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "framework/eval/evaluate.hpp"
#include "framework/host/services/thread_pool.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/quant/output/quantized_weights.hpp"
#include "tests/e2e/loaded_model.hpp"
#include "tests/e2e/stories.hpp"

namespace tessera::e2e {
namespace {

using quant::OutlierMethod;
using quant::Recipe;
using quant::Subgraph;
using quant::WeightMethod;

// Against an anchor: at most 1.2 times (numerics.md section 4).
constexpr double kAllowance = 1.2;

struct Row {
  const char* name;
  Recipe recipe;
  double anchors[2];  // KL of TinyStories-656K and stories260K, nats
};

Recipe nearest(const std::string& scheme) {
  Recipe recipe;
  recipe.schemes.default_scheme = scheme;
  recipe.schemes.fallback_scheme = "float";
  return recipe;
}

Recipe gptq(const std::string& scheme) {
  Recipe recipe = nearest(scheme);
  recipe.weights = WeightMethod::kGptq;
  return recipe;
}

Recipe smoothed(OutlierMethod method, double alpha) {
  Recipe recipe = nearest("w8a8");
  recipe.outliers.method = method;
  recipe.outliers.exponents = {alpha, 1.0 - alpha};
  return recipe;
}

Recipe without(Recipe recipe, const char* glob) {
  recipe.schemes.disable_names.emplace_back(glob);
  return recipe;
}

// Up and down smoothed as well, which norms alone do not reach.
Recipe smoothed_to_down(double alpha) {
  Recipe recipe = smoothed(OutlierMethod::kSmoothQuant, alpha);
  recipe.outliers.subgraphs = {Subgraph::kNormAttention, Subgraph::kNormMlp,
                               Subgraph::kUpDown};
  return recipe;
}

Recipe with_codes(Recipe recipe, quant::ActivationCodes codes) {
  recipe.activations.codes = codes;
  return recipe;
}

Recipe awq(const std::string& scheme) {
  Recipe recipe = nearest(scheme);
  recipe.outliers.method = OutlierMethod::kAwq;
  recipe.outliers.subgraphs = {Subgraph::kNormAttention, Subgraph::kNormMlp};
  return recipe;
}

Recipe sparsified(const std::string& scheme) {
  Recipe recipe = gptq(scheme);
  recipe.gptq.act_order = true;
  return recipe;
}

Recipe attention(const char* scheme) {
  Recipe recipe = nearest(scheme);
  recipe.schemes.disable_names = {"*"};
  return recipe;
}

// KL anchors of the reference evaluation, both models.
std::vector<Row> rows() {
  return {
      {"w8a16", nearest("w8a16"), {0.00030, 0.00046}},
      {"w8a8_dynamic", nearest("w8a8_dynamic"), {0.00146, 0.00129}},
      {"w8a8_mix", nearest("w8a8_mix"), {0.00146, 0.00129}},
      {"w8a8", nearest("w8a8"), {0.01711, 0.01009}},
      {"w8a8 asymmetric",
       with_codes(nearest("w8a8"), quant::ActivationCodes::kAsymmetricS8),
       {0.01209, 0.00816}},
      {"w8a8 SmoothQuant 0.5",
       smoothed(OutlierMethod::kSmoothQuant, 0.5),
       {0.01683, 0.01042}},
      {"w8a8 smoothed to down 0.75",
       smoothed_to_down(0.75),
       {0.00497, 0.01070}},
      {"w8a8 without down_proj",
       without(nearest("w8a8"), "*.down_proj"),
       {0.00147, 0.00114}},
      {"w8a8 without down, o",
       without(without(nearest("w8a8"), "*.down_proj"), "*.o_proj"),
       {0.00095, 0.00105}},
      {"w4a16_g32", nearest("w4a16_g32"), {0.06690, 0.14398}},
      {"w4a16_g128_asym", nearest("w4a16_g128_asym"), {0.07995, 0.12560}},
      {"w4a16_g128", nearest("w4a16_g128"), {0.10319, 0.17285}},
      {"w4a16_g32_asym", nearest("w4a16_g32_asym"), {0.04499, 0.09004}},
      {"w4a16_g128 GPTQ", gptq("w4a16_g128"), {0.06867, 0.12554}},
      {"w4a16_g128_asym GPTQ", gptq("w4a16_g128_asym"), {0.04762, 0.09282}},
      {"w4a16_g32_asym GPTQ", gptq("w4a16_g32_asym"), {0.03213, 0.06202}},
      {"w4a16_g128_asym AWQ", awq("w4a16_g128_asym"), {0.06885, 0.11333}},
      {"w4a8_g128", nearest("w4a8_g128"), {0.10470, 0.17467}},
      {"w4a8_g128 GPTQ", gptq("w4a8_g128"), {0.07006, 0.12710}},
      {"w4a4_channel", nearest("w4a4_channel"), {0.48181, 0.59994}},
      {"w4a4_channel without down, o",
       without(without(nearest("w4a4_channel"), "*.down_proj"), "*.o_proj"),
       {0.18734, 0.22148}},
      {"q4_0", nearest("q4_0"), {0.05129, 0.10313}},
      {"q5_1", nearest("q5_1"), {0.01012, 0.01773}},
      {"q8_0", nearest("q8_0"), {0.00020, 0.00033}},
      {"fp8", nearest("fp8"), {0.00831, 0.01242}},
      {"mxfp4", nearest("mxfp4"), {0.09025, 0.19465}},
      {"nvfp4", nearest("nvfp4"), {0.05905, 0.12388}},
      {"KV int8 per token", attention("f32_kv8"), {0.00010, 0.00199}},
      {"KV int8 per channel", attention("f32_kv8_channel"), {0.00047, 0.00074}},
      {"fa3", attention("f32_fa3"), {0.00073, 0.00607}},
  };
}

// Token by token.  The evaluation knows no phases; in decode w8a8_mix is the
// static scheme.
std::vector<Row> decode_rows() {
  return {
      {"w8a8 decode", nearest("w8a8"), {0.01711, 0.01009}},
      {"w8a8_mix decode", nearest("w8a8_mix"), {0.01711, 0.01009}},
      {"KV int8 per token decode", attention("f32_kv8"), {0.00010, 0.00199}},
      {"fa3 decode", attention("f32_fa3"), {0.00073, 0.00607}},
  };
}

class Anchors : public testing::Test {
 protected:
  void open(const StoryProtocol& protocol) {
    context_ = protocol.context;
    const std::string folder = shared_model_folder(protocol.model);
    if (folder.empty()) GTEST_SKIP() << "no model " << protocol.model;
    auto model = open_model(folder);
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_.emplace(std::move(*model));
    source_ = model_->source;
    const auto root = std::filesystem::path(folder).parent_path().parent_path();
    auto texts = read_stories(protocol, model_->tokenizer,
                              root / "text" / "tinystories_sample.txt");
    ASSERT_TRUE(texts.ok()) << texts.status().message();
    texts_ = std::move(*texts);
    auto device = open_cpu({}, false);
    ASSERT_TRUE(device.ok()) << device.status().message();
    device_ = *device;
    auto graph = build_graph(model_->config, protocol.context);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    auto oracle = Oracle::create(
        graph_, uniform_plan(graph_, "oracle", *find_scheme("f32")), source_);
    ASSERT_TRUE(oracle.ok()) << oracle.status().message();
    oracle_.emplace(std::move(*oracle));
    reference_.emplace(*oracle_, texts_.scored, TSR_PREFILL);
    ASSERT_TRUE(reference_->prepare(available_cores(), nullptr).ok());
  }

  quant::QuantizeReport quantize(const Recipe& recipe,
                                 const WeightSource& source,
                                 quant::QuantizedWeights& weights) {
    scheme_ = recipe.schemes.default_scheme;
    auto report =
        quant::quantize_model({model_->config, source, device_,
                               texts_.calibration, quant::run_on(pool_)},
                              recipe, weights);
    EXPECT_TRUE(report.ok()) << report.status().message();
    if (!report.ok()) return {};
    untied_head_ = report->untied_head;
    return std::move(*report);
  }

  // Mean KL of the model under this recipe.
  double measure(const Recipe& recipe, uint32_t phase = TSR_PREFILL) {
    quant::QuantizedWeights weights;
    quantize(recipe, source_, weights);
    return score(weights, phase);
  }

  double score(const quant::QuantizedWeights& weights,
               uint32_t phase = TSR_PREFILL) {
    return summarize(scores(weights, phase)).kl_mean.value;
  }

  std::vector<DocumentScores> scores_of(const Recipe& recipe) {
    quant::QuantizedWeights weights;
    quantize(recipe, source_, weights);
    return scores(weights, TSR_PREFILL);
  }

  // p of "the first recipe has the lower KL" being chance.
  double chance(const Recipe& first, const Recipe& second) {
    return paired_bootstrap(scores_of(first), scores_of(second));
  }

  std::vector<DocumentScores> scores(const quant::QuantizedWeights& weights,
                                     uint32_t phase) {
    const WeightSource quantized = weights.source(source_);
    ModelConfig config = model_->config;
    config.tie_word_embeddings = config.tie_word_embeddings && !untied_head_;
    Graph graph = *build_graph(config, context_);
    mark_stored(quantized, graph);
    // As the anchors have it: all but the rounded linears in f32.
    Scheme scheme = *find_scheme("f32");
    scheme.kv_format = find_scheme(scheme_)->kv_format;
    scheme.as_stored = scheme.kv_as_stored = true;
    const Plan plan = uniform_plan(graph, "cpu", scheme);
    SessionOptions options;
    options.max_context = 512;
    options.max_tokens = options.max_outputs = 512;
    options.max_seqs = phase == TSR_DECODE ? 8 : 1;
    auto session = Session::create(std::move(graph), plan, quantized,
                                   {{"cpu", device_}}, options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    if (!session.ok()) return {};
    auto scored = score_documents(**session, texts_.scored, phase, *reference_,
                                  [](double) {});
    EXPECT_TRUE(scored.ok()) << scored.status().message();
    return scored.ok() ? std::move(*scored) : std::vector<DocumentScores>();
  }

  void hold(const std::vector<Row>& rows, size_t model, uint32_t phase) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.name);
      const double kl = measure(row.recipe, phase);
      std::printf("%-24s KL %.5f, anchor %.5f, ratio %.2f\n", row.name, kl,
                  row.anchors[model], kl / row.anchors[model]);
      EXPECT_GT(kl, 0.0);
      EXPECT_LE(kl, kAllowance * row.anchors[model]);
    }
  }

  std::string scheme_;        // of the model quantized last
  bool untied_head_ = false;  // likewise
  uint32_t context_ = 0;
  ThreadPool pool_;
  std::optional<Model> model_;
  WeightSource source_;
  StoryTexts texts_;
  std::shared_ptr<Device> device_;
  Graph graph_;
  std::optional<Oracle> oracle_;
  std::optional<ReferenceLogits> reference_;
};

double bits_per_weight(const quant::QuantizeReport& report) {
  double bits = 0.0;
  double weights = 0.0;
  for (const quant::LayerReport& layer : report.layers) {
    bits += 8.0 * static_cast<double>(layer.bytes_out);
    weights += static_cast<double>(layer.parameters);
  }
  return bits / weights;
}

// The claim of W8A8SC: with the same activations, no worse than Q4_0 weights
// and no larger.
TEST_F(Anchors, SparseWeightsAreNoWorseThanQ4) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  quant::QuantizedWeights sparse;
  const auto report = quantize(sparsified("w8a8sc"), source_, sparse);
  EXPECT_LE(bits_per_weight(report), 4.5);

  // Q4_0 has no integer activations of its own: its values, in s8 as well.
  quant::QuantizedWeights q4;
  EXPECT_NEAR(bits_per_weight(quantize(nearest("q4_0"), source_, q4)), 4.5,
              1e-9);
  const WeightSource q4_source = q4.source(source_);
  quant::QuantizedWeights q4_static;
  quantize(nearest("w8a8"), q4_source, q4_static);
  const double sparse_kl = score(sparse);
  const double q4_kl = score(q4_static);
  std::printf("w8a8sc KL %.5f at %.3f bits, q4_0 values %.5f\n", sparse_kl,
              bits_per_weight(report), q4_kl);
  EXPECT_LE(sparse_kl, q4_kl);
}

// Orders that users rely on, where the formats differ.
TEST_F(Anchors, FinerGroupsAndBetterMethodsWin) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  constexpr double kChance = 0.05;
  EXPECT_LT(chance(nearest("w4a16_g32_asym"), nearest("w4a16_g64_asym")),
            kChance);
  EXPECT_LT(chance(nearest("w4a16_g64_asym"), nearest("w4a16_g128_asym")),
            kChance);
  EXPECT_LT(chance(nearest("w4a16_g128"), nearest("w4a16_channel")), kChance);
  EXPECT_LT(chance(gptq("w4a16_g128"), nearest("w4a16_g128")), kChance);
  EXPECT_LT(chance(awq("w4a16_g128_asym"), nearest("w4a16_g128_asym")),
            kChance);
}

// What down_proj's outliers cost static activations.
TEST_F(Anchors, DownProjInFloatRecoversStaticInt8) {
  for (const auto& protocol :
       {StoryProtocol{"tinystories656k", 96, "\n", 30000},
        StoryProtocol{"stories260K", 256, "\n\n", 24576}}) {
    open(protocol);
    if (IsSkipped() || HasFatalFailure()) return;
    EXPECT_LT(5.0 * measure(without(nearest("w8a8"), "*.down_proj")),
              measure(nearest("w8a8")))
        << protocol.model;
  }
}

// Every metric knows where the outliers are.
TEST_F(Anchors, SensitivityPutsDownProjFirst) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  for (const auto metric : {quant::SensitivityMetric::kKurtosis,
                            quant::SensitivityMetric::kRangeParm}) {
    Recipe recipe = nearest("w8a8");
    recipe.metric = metric;
    recipe.schemes.disable_level = 2;  // of two layers
    quant::QuantizedWeights weights;
    for (const auto& layer : quantize(recipe, source_, weights).layers) {
      EXPECT_EQ(layer.fallback, layer.name.ends_with("down_proj"))
          << layer.name;
    }
  }
  // By the error of outputs another linear may lead, but a figure is there.
  Recipe recipe = nearest("w4a16_g32");
  recipe.metric = quant::SensitivityMetric::kLayerMse;
  recipe.schemes.disable_level = 1;
  quant::QuantizedWeights weights;
  uint32_t num_fallbacks = 0;
  for (const auto& layer : quantize(recipe, source_, weights).layers) {
    EXPECT_GT(layer.metric, 0.0) << layer.name;
    num_fallbacks += layer.fallback ? 1 : 0;
  }
  EXPECT_EQ(num_fallbacks, 1u);
}

Recipe rotated(Recipe recipe) {
  recipe.rotation_seed = 42;
  return recipe;
}

// A rotation is no change to the function, and evens out what w4a4 rounds.
TEST_F(Anchors, RotationChangesNothingButTheRounding) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_LT(measure(rotated(nearest("f32"))), 1e-9);
  const Recipe plain = nearest("w4a4_channel");
  EXPECT_LT(chance(rotated(plain), plain), 0.05);
}

// Compression changes nothing.
TEST_F(Anchors, CompressedWeightsAreTheSparsifiedOnes) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ(measure(sparsified("w8a8s")), measure(sparsified("w8a8sc")));
}

TEST_F(Anchors, TinyStories656K) {
  open({"tinystories656k", 96, "\n", 30000});
  if (IsSkipped() || HasFatalFailure()) return;
  hold(rows(), 0, TSR_PREFILL);
  hold(decode_rows(), 0, TSR_DECODE);
}

TEST_F(Anchors, Stories260K) {
  open({"stories260K", 256, "\n\n", 24576});
  if (IsSkipped() || HasFatalFailure()) return;
  hold(rows(), 1, TSR_PREFILL);
  hold(decode_rows(), 1, TSR_DECODE);
}

}  // namespace
}  // namespace tessera::e2e
