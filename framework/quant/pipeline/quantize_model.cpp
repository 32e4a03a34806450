// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/quantize_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "framework/model/build_graph.hpp"
#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/outliers/rotated_model.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"
#include "framework/quant/pipeline/calibrator.hpp"
#include "framework/quant/pipeline/measure_parts.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"
#include "framework/quant/pipeline/suppress_outliers.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/ops.h"

namespace tessera::quant {
namespace {

constexpr uint32_t kNumParts = 7;
constexpr const char* kFloat = "float";

// "model.layers.3.mlp.down_proj": what globs are matched with.
std::string module_name(uint32_t layer, uint32_t part) {
  std::string name = layer_tensor_names(layer).*block_parts()[part].weight;
  constexpr std::string_view kSuffix = ".weight";
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return name;
}

bool searches_rows(const Recipe& recipe) {
  return recipe.outliers.method == OutlierMethod::kAwq ||
         recipe.outliers.method == OutlierMethod::kFlexSmooth;
}

// All schemes that the recipe names; "float" is no scheme.
Result<std::map<std::string, Scheme>> find_schemes(const Recipe& recipe) {
  std::vector<std::string> names = {recipe.schemes.default_scheme,
                                    recipe.schemes.fallback_scheme};
  for (const auto& [glob, scheme] : recipe.schemes.schemes) {
    names.push_back(scheme);
  }
  std::map<std::string, Scheme> schemes;
  for (const std::string& name : names) {
    if (name == kFloat) continue;
    TSR_ASSIGN_OR_RETURN(schemes[name], find_scheme(name));
  }
  return schemes;
}

// TSR_KV_* of the default scheme.
uint32_t kv_format_of(const std::map<std::string, Scheme>& schemes,
                      const Recipe& recipe) {
  const auto found = schemes.find(recipe.schemes.default_scheme);
  return found == schemes.end() ? uint32_t{TSR_KV_F32}
                                : found->second.kv_format;
}

class ModelQuantizer {
 public:
  ModelQuantizer(const QuantizeInputs& inputs, const Recipe& recipe,
                 QuantizedSink& sink)
      : inputs_(inputs), recipe_(recipe), sink_(sink) {}

  Result<QuantizeReport> run() {
    TSR_ASSIGN_OR_RETURN(schemes_, find_schemes(recipe_));
    TSR_RETURN_IF_ERROR(open_graph());
    TSR_RETURN_IF_ERROR(choose());
    if (calibrator_) TSR_RETURN_IF_ERROR(calibrator_->embed(inputs_.source));
    for (uint32_t layer = 0; layer < inputs_.config.num_layers; ++layer) {
      TSR_RETURN_IF_ERROR(quantize_layer(layer).annotate(
          fmt::format("model.layers.{}", layer)));
      step_done();
    }
    TSR_RETURN_IF_ERROR(keep_the_rest());
    TSR_RETURN_IF_ERROR(sink_.finish());
    return std::move(report_);
  }

 private:
  // ---- Before the first layer
  // ------------------------------------------------

  Status open_graph() {
    uint32_t longest = 1;
    for (const auto& text : inputs_.texts) {
      longest = std::max(longest, static_cast<uint32_t>(text.size()));
    }
    TSR_ASSIGN_OR_RETURN(graph_, build_graph(inputs_.config, longest));
    if (has_static_scales(kv_format_of(schemes_, recipe_))) {
      graph_ = with_rotated_keys(std::move(graph_));
    }
    TSR_ASSIGN_OR_RETURN(const bool needed, needs_calibration(recipe_));
    const bool possible = inputs_.device != nullptr && !inputs_.texts.empty();
    if (needed && !possible) {
      return {TSR_FAILED_PRECONDITION,
              "this recipe needs calibration: a device and a text"};
    }
    num_steps_ = inputs_.config.num_layers;
    if (!needed) return {};
    TSR_ASSIGN_OR_RETURN(const Scheme f32, find_scheme("f32"));
    TSR_ASSIGN_OR_RETURN(
        Calibrator calibrator,
        Calibrator::create(graph_, inputs_.device, f32, inputs_.texts));
    calibrator_.emplace(std::move(calibrator));
    return {};
  }

  Status choose() {
    std::vector<LayerSensitivity> layers;
    for (uint32_t layer = 0; layer < inputs_.config.num_layers; ++layer) {
      for (uint32_t part = 0; part < kNumParts; ++part) {
        layers.push_back({module_name(layer, part), 0.0});
      }
    }
    if (calibrator_ && recipe_.schemes.disable_level > 0) {
      num_steps_ *= 2;
      TSR_RETURN_IF_ERROR(measure(layers));
    }
    TSR_ASSIGN_OR_RETURN(SchemeChoices choices,
                         choose_schemes(recipe_.schemes, layers));
    choices_ = std::move(choices.layers);
    report_.warnings = std::move(choices.warnings);
    return {};
  }

  // A pass over the float model, for its sensitivities.
  Status measure(std::vector<LayerSensitivity>& layers) {
    TSR_RETURN_IF_ERROR(calibrator_->embed(inputs_.source));
    const auto scheme = schemes_.find(recipe_.schemes.default_scheme);
    CaptureOptions options;
    options.with_hessian = recipe_.metric == SensitivityMetric::kLayerMse;
    for (uint32_t layer = 0; layer < inputs_.config.num_layers; ++layer) {
      TSR_ASSIGN_OR_RETURN(
          LayerCapture capture,
          calibrator_->capture(layer, inputs_.source, options, inputs_.run));
      TSR_ASSIGN_OR_RETURN(const DecoderBlock block,
                           read_block(inputs_.config, inputs_.source, layer));
      std::vector<CapturedInput*> inputs;
      for (uint32_t part = 0; part < kNumParts; ++part) {
        inputs.push_back(&capture.input_of(weight_of(layer, part)));
      }
      TSR_ASSIGN_OR_RETURN(
          const std::vector<double> metrics,
          measure_parts(recipe_.metric, block, inputs,
                        scheme == schemes_.end() ? nullptr : &scheme->second,
                        inputs_.run));
      for (uint32_t part = 0; part < kNumParts; ++part) {
        layers[layer * kNumParts + part].metric = metrics[part];
      }
      TSR_RETURN_IF_ERROR(calibrator_->advance(layer, inputs_.source, nullptr));
      step_done();
    }
    return {};
  }

  // The graph has the parts of a layer in the order of block_parts().
  uint32_t weight_of(uint32_t layer, uint32_t part) const {
    return layer * kNumParts + part;
  }

  // ---- One layer
  // -------------------------------------------------------------

  Status quantize_layer(uint32_t layer) {
    TSR_ASSIGN_OR_RETURN(DecoderBlock block,
                         read_block(inputs_.config, inputs_.source, layer));
    const DecoderBlock original = block;
    std::optional<LayerCapture> capture;
    if (calibrator_) {
      TSR_RETURN_IF_ERROR(suppress(layer, &block));
      CaptureOptions options;
      options.with_hessian = needs_hessian(recipe_);
      TSR_ASSIGN_OR_RETURN(
          capture, calibrator_->capture(
                       layer, block_source(inputs_.source, block, layer),
                       options, inputs_.run));
    }
    TSR_RETURN_IF_ERROR(put_vectors(layer, original, block));
    TSR_RETURN_IF_ERROR(
        quantize_parts(layer, original, capture ? &*capture : nullptr, &block));
    if (!calibrator_) return {};
    return advance(layer, block_source(inputs_.source, block, layer));
  }

  // The next layer, and the attention of this one, are calibrated behind the
  // weights as they are now.
  Status advance(uint32_t layer, const WeightSource& source) {
    const uint32_t kv_format = kv_format_of(schemes_, recipe_);
    if (!has_static_scales(kv_format)) {
      return calibrator_->advance(layer, source, nullptr);
    }
    const ModelConfig& config = inputs_.config;
    TSR_ASSIGN_OR_RETURN(
        AttentionObserver observer,
        AttentionObserver::create(
            kv_format,
            {config.num_q_heads, config.num_kv_heads, config.head_dim}));
    TSR_RETURN_IF_ERROR(calibrator_->advance(layer, source, &observer));
    TSR_ASSIGN_OR_RETURN(AttentionScales scales, observer.scales());
    return sink_.put_attention(layer, std::move(scales));
  }

  BlockPlan plan_of(uint32_t layer, LayerCapture& capture) const {
    BlockPlan plan;
    for (uint32_t part = 0; part < kNumParts; ++part) {
      plan.schemes.push_back(scheme_of(layer, part));
      plan.inputs.push_back(&capture.input_of(weight_of(layer, part)));
    }
    return plan;
  }

  // Null for floats.
  const Scheme* scheme_of(uint32_t layer, uint32_t part) const {
    const auto found = schemes_.find(choices_[layer * kNumParts + part].scheme);
    return found == schemes_.end() ? nullptr : &found->second;
  }

  Status suppress(uint32_t layer, DecoderBlock* block) {
    if (recipe_.outliers.method == OutlierMethod::kNone) return {};
    CaptureOptions options;
    options.max_rows = searches_rows(recipe_) ? recipe_.search_rows : 0;
    TSR_ASSIGN_OR_RETURN(
        LayerCapture capture,
        calibrator_->capture(layer, inputs_.source, options, inputs_.run));
    return suppress_outliers(recipe_, plan_of(layer, capture), block,
                             inputs_.run);
  }

  Status put_vector(const std::string& name, const std::vector<float>& before,
                    const std::vector<float>& now) {
    if (now.empty()) return {};
    if (before == now) return sink_.keep(name);
    return sink_.put_floats(name, now, {now.size()});
  }

  Status put_vectors(uint32_t layer, const DecoderBlock& before,
                     const DecoderBlock& now) {
    const LayerTensorNames names = layer_tensor_names(layer);
    TSR_RETURN_IF_ERROR(put_vector(names.attention_norm, before.attention_norm,
                                   now.attention_norm));
    TSR_RETURN_IF_ERROR(
        put_vector(names.mlp_norm, before.mlp_norm, now.mlp_norm));
    if (inputs_.config.qk_norm) {
      TSR_RETURN_IF_ERROR(sink_.keep(names.q_norm));
      TSR_RETURN_IF_ERROR(sink_.keep(names.k_norm));
    }
    for (const BlockPart& part : block_parts()) {
      TSR_RETURN_IF_ERROR(put_vector(names.*part.bias,
                                     (before.*part.linear).bias,
                                     (now.*part.linear).bias));
    }
    return {};
  }

  // Rounds every part in place, so that the block is what the file will say.
  Status quantize_parts(uint32_t layer, const DecoderBlock& original,
                        LayerCapture* capture, DecoderBlock* block) {
    std::optional<GptqFactor> factor;
    uint32_t factored = kNumParts;  // the input that `factor` is of
    for (uint32_t part = 0; part < kNumParts; ++part) {
      const Scheme* scheme = scheme_of(layer, part);
      CapturedInput* input = capture == nullptr
                                 ? nullptr
                                 : &capture->input_of(weight_of(layer, part));
      const bool with_factor =
          needs_hessian(recipe_) && scheme != nullptr && uses_factor(*scheme);
      if (with_factor && factored != input_of_part(part)) {
        TSR_ASSIGN_OR_RETURN(
            Hessian hessian,
            std::move(input->statistics).take_hessian(inputs_.run));
        TSR_ASSIGN_OR_RETURN(factor, factor_hessian(std::move(hessian),
                                                    recipe_.gptq, inputs_.run));
        factored = input_of_part(part);
      }
      TSR_RETURN_IF_ERROR(quantize_part(layer, part, original, input,
                                        with_factor ? &*factor : nullptr, block)
                              .annotate(block_parts()[part].name));
    }
    return {};
  }

  // NOLINTNEXTLINE(readability-function-size)
  Status quantize_part(uint32_t layer, uint32_t part,
                       const DecoderBlock& original, CapturedInput* input,
                       const GptqFactor* factor, DecoderBlock* block) {
    FloatLinear& linear = block->*block_parts()[part].linear;
    const LayerChoice& choice = choices_[layer * kNumParts + part];
    const std::string name =
        layer_tensor_names(layer).*block_parts()[part].weight;
    LayerReport report;
    report.name = choice.name;
    report.scheme = choice.scheme;
    report.reason = choice.reason;
    report.metric = choice.metric;
    report.fallback = choice.reason == SchemeReason::kDisableName ||
                      choice.reason == SchemeReason::kDisableLevel;
    report.parameters = linear.weight.size();
    TSR_ASSIGN_OR_RETURN(const SourceTensor stored,
                         inputs_.source.tensor(name));
    report.bytes_in = stored.bytes.size();
    report.bytes_out = report.bytes_in;
    if (input != nullptr && choice.metric == 0.0 &&
        recipe_.metric != SensitivityMetric::kLayerMse) {
      TSR_ASSIGN_OR_RETURN(report.metric,
                           input_sensitivity(recipe_.metric, input->observer));
    }
    const Scheme* scheme = scheme_of(layer, part);
    if (scheme != nullptr) report.note = misfit(*scheme, linear.K);
    if (!report.note.empty()) {
      scheme = nullptr;
      report.scheme = kFloat;
      report.fallback = true;
    }
    const bool changed =
        linear.weight != (original.*block_parts()[part].linear).weight;
    if (scheme == nullptr) {
      TSR_RETURN_IF_ERROR(
          changed ? sink_.put_floats(name, linear.weight, {linear.N, linear.K})
                  : sink_.keep(name));
      report_.layers.push_back(std::move(report));
      return {};
    }
    TSR_ASSIGN_OR_RETURN(
        QuantizedLinear result,
        quantize_linear({linear, *scheme, recipe_, input, factor},
                        inputs_.run));
    report.bytes_out = result.weight.bytes();
    report.mae = result.error.mean_absolute();
    report.mse = result.error.mean_squared();
    report.sqnr_db = result.error.sqnr_db();
    report.cosine = result.error.cosine();
    report_.layers.push_back(std::move(report));
    if (calibrator_) {
      TSR_ASSIGN_OR_RETURN(linear.weight,
                           decode_values(result.weight, inputs_.run));
    }
    return sink_.put_weight(name, std::move(result.weight),
                            {scheme->weight_format, scheme->group_size,
                             scheme->symmetric, scheme->act_quant});
  }

  // ---- After the last layer
  // --------------------------------------------------

  Status keep_the_rest() {
    TSR_RETURN_IF_ERROR(sink_.keep(kEmbeddingName));
    TSR_RETURN_IF_ERROR(sink_.keep(kFinalNormName));
    if (inputs_.config.tie_word_embeddings) return {};
    return sink_.keep(kHeadName);
  }

  void step_done() {
    ++steps_;
    inputs_.on_progress(static_cast<double>(steps_) / num_steps_);
  }

  const QuantizeInputs& inputs_;
  const Recipe& recipe_;
  QuantizedSink& sink_;
  std::map<std::string, Scheme> schemes_;
  Graph graph_;
  std::optional<Calibrator> calibrator_;
  std::vector<LayerChoice> choices_;
  QuantizeReport report_;
  uint32_t steps_ = 0;
  uint32_t num_steps_ = 1;
};

// What nothing in a turned model is: as in the file.
class TurnedSink final : public QuantizedSink {
 public:
  TurnedSink(const WeightSource& turned, QuantizedSink& sink)
      : turned_(turned), sink_(sink) {}

  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override {
    return sink_.put_weight(name, std::move(weight), choice);
  }
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override {
    return sink_.put_floats(name, std::move(values), shape);
  }
  Status keep(const std::string& name) override {
    TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, turned_.tensor(name));
    const uint64_t count = tensor.bytes.size() / dtype_bytes(tensor.dtype, 1);
    TSR_ASSIGN_OR_RETURN(std::vector<float> values,
                         read_values(turned_, name, count));
    return sink_.put_floats(name, std::move(values), tensor.shape);
  }
  Status put_attention(uint32_t layer, AttentionScales scales) override {
    return sink_.put_attention(layer, std::move(scales));
  }
  Status finish() override { return sink_.finish(); }

 private:
  const WeightSource& turned_;
  QuantizedSink& sink_;
};

}  // namespace

Result<bool> needs_calibration(const Recipe& recipe) {
  TSR_ASSIGN_OR_RETURN(const auto schemes, find_schemes(recipe));
  const bool is_static = std::any_of(
      schemes.begin(), schemes.end(),
      [](const auto& row) { return has_static_activations(row.second); });
  return is_static || has_static_scales(kv_format_of(schemes, recipe)) ||
         needs_hessian(recipe) ||
         recipe.sparsity.importance == Importance::kWanda ||
         recipe.outliers.method != OutlierMethod::kNone ||
         recipe.clip.num_steps > 0 || recipe.schemes.disable_level > 0;
}

Result<QuantizeReport> quantize_model(const QuantizeInputs& inputs,
                                      const Recipe& recipe,
                                      QuantizedSink& sink) {
  if (!recipe.rotation_seed) return ModelQuantizer(inputs, recipe, sink).run();
  TSR_ASSIGN_OR_RETURN(const RotatedModel rotated,
                       rotate_model(inputs.config, inputs.source,
                                    *recipe.rotation_seed, inputs.run));
  const QuantizeInputs turned{rotated.config, rotated.source,
                              inputs.device,  inputs.texts,
                              inputs.run,     inputs.on_progress};
  TurnedSink turned_sink(rotated.source, sink);
  TSR_ASSIGN_OR_RETURN(QuantizeReport report,
                       ModelQuantizer(turned, recipe, turned_sink).run());
  report.untied_head = inputs.config.tie_word_embeddings;
  return report;
}

}  // namespace tessera::quant
