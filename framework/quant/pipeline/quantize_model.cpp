// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/quantize_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "framework/model/build_graph.hpp"
#include "framework/quant/outliers/rotated_model.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"
#include "framework/quant/pipeline/fingerprint.hpp"
#include "framework/quant/pipeline/layer_quantizer.hpp"
#include "framework/quant/pipeline/measure_parts.hpp"
#include "framework/quant/pipeline/turned_sink.hpp"

namespace tessera::quant {
namespace {

// "model.layers.3.mlp.down_proj": what globs are matched with.
std::string module_name(uint32_t layer, uint32_t part) {
  std::string name = layer_tensor_names(layer).*block_parts()[part].weight;
  constexpr std::string_view kSuffix = ".weight";
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return name;
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
    if (name == kFloatScheme) continue;
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
                 QuantizedSink& sink, std::string fingerprint)
      : inputs_(inputs),
        fingerprint_(std::move(fingerprint)),
        job_{inputs,
             recipe,
             sink,
             {},
             TSR_KV_F32,
             {},
             [this] {
               return part_done(); }} {}

  Result<QuantizeReport> run() {
    TSR_ASSIGN_OR_RETURN(job_.schemes, find_schemes(job_.recipe));
    job_.kv_format = kv_format_of(job_.schemes, job_.recipe);
    TSR_RETURN_IF_ERROR(open_graph());
    TSR_ASSIGN_OR_RETURN(Checkpoint checkpoint, job_.sink.resume(fingerprint_));
    TSR_RETURN_IF_ERROR(begin(std::move(checkpoint)));
    Calibrator* calibrator = calibrator_ ? &*calibrator_ : nullptr;
    for (uint32_t layer = report_.num_resumed;
         layer < inputs_.config.num_layers; ++layer) {
      LayerQuantizer quantizer(job_, layer, calibrator, &report_.layers);
      TSR_RETURN_IF_ERROR(quantizer.run());
      TSR_RETURN_IF_ERROR(put_checkpoint(layer + 1));
    }
    TSR_RETURN_IF_ERROR(keep_the_rest());
    TSR_RETURN_IF_ERROR(job_.sink.finish());
    return std::move(report_);
  }

 private:
  Status open_graph() {
    uint32_t longest = 1;
    for (const auto& text : inputs_.texts) {
      longest = std::max(longest, static_cast<uint32_t>(text.size()));
    }
    TSR_ASSIGN_OR_RETURN(graph_, build_graph(inputs_.config, longest));
    if (has_static_scales(job_.kv_format)) {
      graph_ = with_rotated_keys(std::move(graph_));
    }
    TSR_ASSIGN_OR_RETURN(const bool needed, needs_calibration(job_.recipe));
    const bool possible = inputs_.device != nullptr && !inputs_.texts.empty();
    if (needed && !possible) {
      return {TSR_FAILED_PRECONDITION,
              "this recipe needs calibration: a device and a text"};
    }
    num_steps_ = inputs_.config.num_layers * kNumParts;
    if (!needed) return {};
    TSR_ASSIGN_OR_RETURN(const Scheme f32, find_scheme("f32"));
    TSR_ASSIGN_OR_RETURN(
        Calibrator calibrator,
        Calibrator::create(graph_, inputs_.device, f32, inputs_.texts));
    calibrator_.emplace(std::move(calibrator));
    return {};
  }

  // At the first layer, or where the earlier run was cut off.
  Status begin(Checkpoint checkpoint) {
    if (checkpoint.num_layers == 0) {
      TSR_RETURN_IF_ERROR(choose());
      return calibrator_ ? calibrator_->embed(inputs_.source) : Status{};
    }
    TSR_ASSIGN_OR_RETURN(RunNotes notes, read_notes(checkpoint.notes));
    const size_t num_linears = size_t{inputs_.config.num_layers} * kNumParts;
    if (notes.choices.size() != num_linears ||
        notes.layers.size() != size_t{checkpoint.num_layers} * kNumParts) {
      return {TSR_DATA_LOSS, "notes of an earlier run are of another model"};
    }
    job_.choices = std::move(notes.choices);
    report_.warnings = std::move(notes.warnings);
    report_.layers = std::move(notes.layers);
    report_.num_resumed = checkpoint.num_layers;
    steps_ = checkpoint.num_layers * kNumParts;
    if (!calibrator_) return {};
    return calibrator_->resume(checkpoint.num_layers,
                               std::move(checkpoint.hidden));
  }

  Status put_checkpoint(uint32_t num_layers) {
    const RunNotes notes{job_.choices, report_.warnings, report_.layers};
    return job_.sink.checkpoint(
        num_layers, write_notes(notes),
        calibrator_ ? calibrator_->hidden() : std::span<const float>());
  }

  Status choose() {
    std::vector<LayerSensitivity> layers;
    for (uint32_t layer = 0; layer < inputs_.config.num_layers; ++layer) {
      for (uint32_t part = 0; part < kNumParts; ++part) {
        layers.push_back({module_name(layer, part), 0.0});
      }
    }
    if (calibrator_ && job_.recipe.schemes.disable_level > 0) {
      num_steps_ *= 2;
      TSR_RETURN_IF_ERROR(measure(layers));
    }
    TSR_ASSIGN_OR_RETURN(SchemeChoices choices,
                         choose_schemes(job_.recipe.schemes, layers));
    job_.choices = std::move(choices.layers);
    report_.warnings = std::move(choices.warnings);
    return {};
  }

  // A pass over the float model, for its sensitivities.
  Status measure(std::vector<LayerSensitivity>& layers) {
    const Recipe& recipe = job_.recipe;
    TSR_RETURN_IF_ERROR(calibrator_->embed(inputs_.source));
    const auto scheme = job_.schemes.find(recipe.schemes.default_scheme);
    CaptureOptions options;
    options.with_hessian = recipe.metric == SensitivityMetric::kLayerMse;
    for (uint32_t layer = 0; layer < inputs_.config.num_layers; ++layer) {
      TSR_ASSIGN_OR_RETURN(
          LayerCapture capture,
          calibrator_->capture(layer, inputs_.source, options, inputs_.run));
      TSR_ASSIGN_OR_RETURN(const DecoderBlock block,
                           read_block(inputs_.config, inputs_.source, layer));
      std::vector<CapturedInput*> inputs;
      for (uint32_t part = 0; part < kNumParts; ++part) {
        inputs.push_back(&capture.input_of(weight_index(layer, part)));
      }
      TSR_ASSIGN_OR_RETURN(
          const std::vector<double> metrics,
          measure_parts(
              recipe.metric, block, inputs,
              scheme == job_.schemes.end() ? nullptr : &scheme->second,
              inputs_.run));
      for (uint32_t part = 0; part < kNumParts; ++part) {
        layers[weight_index(layer, part)].metric = metrics[part];
        TSR_RETURN_IF_ERROR(part_done());
      }
      TSR_RETURN_IF_ERROR(calibrator_->advance(layer, inputs_.source, nullptr));
    }
    return {};
  }

  Status keep_the_rest() {
    TSR_RETURN_IF_ERROR(job_.sink.keep(kEmbeddingName));
    TSR_RETURN_IF_ERROR(job_.sink.keep(kFinalNormName));
    if (inputs_.config.tie_word_embeddings) return {};
    return job_.sink.keep(kHeadName);
  }

  Status part_done() {
    ++steps_;
    inputs_.on_progress(static_cast<double>(steps_) / num_steps_);
    if (!inputs_.is_cancelled()) return {};
    return {TSR_CANCELLED, "interrupted"};
  }

  const QuantizeInputs& inputs_;
  std::string fingerprint_;
  QuantizeJob job_;
  Graph graph_;
  std::optional<Calibrator> calibrator_;
  QuantizeReport report_;
  uint32_t steps_ = 0;
  uint32_t num_steps_ = 1;
};

}  // namespace

Result<bool> needs_calibration(const Recipe& recipe) {
  TSR_ASSIGN_OR_RETURN(const auto schemes, find_schemes(recipe));
  const bool is_static =
      std::any_of(schemes.begin(), schemes.end(), [](const auto& row) {
        return has_static_activations(row.second.act_quant);
      });
  return is_static || has_static_scales(kv_format_of(schemes, recipe)) ||
         needs_hessian(recipe) ||
         recipe.sparsity.importance == Importance::kWanda ||
         recipe.outliers.method != OutlierMethod::kNone ||
         recipe.clip.num_steps > 0 || recipe.schemes.disable_level > 0;
}

std::span<const float> importance_of(const QuantizeInputs& inputs,
                                     const std::string& name) {
  if (inputs.importance == nullptr) return {};
  const auto found = inputs.importance->find(name);
  return found == inputs.importance->end() ? std::span<const float>()
                                           : found->second;
}

Result<QuantizeReport> quantize_model(const QuantizeInputs& inputs,
                                      const Recipe& recipe,
                                      QuantizedSink& sink) {
  // Of the original: a turned model takes work to read.
  const std::string fingerprint = run_fingerprint(inputs, recipe);
  if (!recipe.rotation_seed) {
    return ModelQuantizer(inputs, recipe, sink, fingerprint).run();
  }
  if (inputs.importance != nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  "an imatrix is of the model as it is, not of a turned one");
  }
  TSR_ASSIGN_OR_RETURN(const RotatedModel rotated,
                       rotate_model(inputs.config, inputs.source,
                                    *recipe.rotation_seed, inputs.run));
  const QuantizeInputs turned{
      rotated.config, rotated.source,     inputs.device,      inputs.texts,
      inputs.run,     inputs.on_progress, inputs.is_cancelled};
  TurnedSink turned_sink(rotated.source, sink);
  TSR_ASSIGN_OR_RETURN(
      QuantizeReport report,
      ModelQuantizer(turned, recipe, turned_sink, fingerprint).run());
  report.untied_head = inputs.config.tie_word_embeddings;
  return report;
}

}  // namespace tessera::quant
