// SPDX-License-Identifier: Apache-2.0
//
// The calibrated way, and what both ways share.

#include "framework/quant/pipeline/layer_quantizer.hpp"

#include <utility>

#include "framework/quant/fallback/sensitivity.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"

namespace tessera::quant {
namespace {

bool searches_rows(const Recipe& recipe) {
  return recipe.outliers.method == OutlierMethod::kAwq ||
         recipe.outliers.method == OutlierMethod::kFlexSmooth;
}

}  // namespace

const Scheme* QuantizeJob::scheme_of(uint32_t layer, uint32_t part) const {
  const auto found = schemes.find(choices[weight_index(layer, part)].scheme);
  return found == schemes.end() ? nullptr : &found->second;
}

LayerQuantizer::LayerQuantizer(const QuantizeJob& job, uint32_t layer,
                               Calibrator* calibrator,
                               std::vector<LayerReport>* reports)
    : job_(job),
      layer_(layer),
      names_(layer_tensor_names(layer)),
      calibrator_(calibrator),
      reports_(*reports) {}

Status LayerQuantizer::run() {
  return calibrator_ == nullptr ? run_stored() : run_block();
}

const std::string& LayerQuantizer::weight_name(uint32_t part) const {
  return names_.*block_parts()[part].weight;
}

Status LayerQuantizer::run_block() {
  const QuantizeInputs& inputs = job_.inputs;
  TSR_ASSIGN_OR_RETURN(DecoderBlock block,
                       read_block(inputs.config, inputs.source, layer_));
  TSR_RETURN_IF_ERROR(suppress(&block));
  CaptureOptions options;
  options.with_hessian = needs_hessian(job_.recipe);
  TSR_ASSIGN_OR_RETURN(
      LayerCapture capture,
      calibrator_->capture(layer_, block_source(inputs.source, block, layer_),
                           options, inputs.run));
  TSR_RETURN_IF_ERROR(put_vectors(block));
  TSR_RETURN_IF_ERROR(quantize_parts(capture, &block));
  return advance(block_source(inputs.source, block, layer_));
}

// The next layer, and the attention of this one, are calibrated behind the
// weights as they are now.
Status LayerQuantizer::advance(const WeightSource& source) {
  if (!has_static_scales(job_.kv_format)) {
    return calibrator_->advance(layer_, source, nullptr);
  }
  const ModelConfig& config = job_.inputs.config;
  TSR_ASSIGN_OR_RETURN(
      AttentionObserver observer,
      AttentionObserver::create(
          job_.kv_format,
          {config.num_q_heads, config.num_kv_heads, config.head_dim}));
  TSR_RETURN_IF_ERROR(calibrator_->advance(layer_, source, &observer));
  TSR_ASSIGN_OR_RETURN(AttentionScales scales, observer.scales());
  return job_.sink.put_attention(layer_, std::move(scales));
}

Status LayerQuantizer::suppress(DecoderBlock* block) {
  const Recipe& recipe = job_.recipe;
  if (recipe.outliers.method == OutlierMethod::kNone) return {};
  CaptureOptions options;
  options.max_rows = searches_rows(recipe) ? recipe.search_rows : 0;
  TSR_ASSIGN_OR_RETURN(LayerCapture capture,
                       calibrator_->capture(layer_, job_.inputs.source, options,
                                            job_.inputs.run));
  BlockPlan plan;
  for (uint32_t part = 0; part < kNumParts; ++part) {
    plan.schemes.push_back(job_.scheme_of(layer_, part));
    plan.inputs.push_back(&capture.input_of(weight_index(layer_, part)));
  }
  return suppress_outliers(recipe, plan, block, job_.inputs.run);
}

// What outlier suppression left alone stays in the file's own type.
Status LayerQuantizer::put_floats(const std::string& name,
                                  const std::vector<float>& now,
                                  const std::vector<uint64_t>& shape) {
  if (now.empty()) return {};
  if (job_.recipe.outliers.method == OutlierMethod::kNone) {
    return job_.sink.keep(name);
  }
  TSR_ASSIGN_OR_RETURN(const std::vector<float> before,
                       read_values(job_.inputs.source, name, now.size()));
  return before == now ? job_.sink.keep(name)
                       : job_.sink.put_floats(name, now, shape);
}

Status LayerQuantizer::put_vectors(const DecoderBlock& block) {
  TSR_RETURN_IF_ERROR(put_floats(names_.attention_norm, block.attention_norm,
                                 {block.attention_norm.size()}));
  TSR_RETURN_IF_ERROR(
      put_floats(names_.mlp_norm, block.mlp_norm, {block.mlp_norm.size()}));
  if (job_.inputs.config.qk_norm) {
    TSR_RETURN_IF_ERROR(job_.sink.keep(names_.q_norm));
    TSR_RETURN_IF_ERROR(job_.sink.keep(names_.k_norm));
  }
  for (const BlockPart& part : block_parts()) {
    const std::vector<float>& bias = (block.*part.linear).bias;
    TSR_RETURN_IF_ERROR(put_floats(names_.*part.bias, bias, {bias.size()}));
  }
  return {};
}

// Rounds every part in place, so that the block is what the file will say.
Status LayerQuantizer::quantize_parts(LayerCapture& capture,
                                      DecoderBlock* block) {
  const QuantizeInputs& inputs = job_.inputs;
  std::optional<GptqFactor> factor;
  uint32_t factored = kNumParts;  // the input that `factor` is of
  for (uint32_t part = 0; part < kNumParts; ++part) {
    const Scheme* scheme = job_.scheme_of(layer_, part);
    CapturedInput& input = capture.input_of(weight_index(layer_, part));
    const bool with_factor =
        needs_hessian(job_.recipe) && scheme != nullptr && uses_factor(*scheme);
    if (with_factor && factored != input_of_part(part)) {
      factor.reset();  // before the next one is made
      TSR_ASSIGN_OR_RETURN(
          Hessian hessian,
          std::move(input.statistics).take_hessian(inputs.run));
      TSR_ASSIGN_OR_RETURN(
          factor,
          factor_hessian(std::move(hessian), job_.recipe.gptq, inputs.run));
      factored = input_of_part(part);
    }
    TSR_RETURN_IF_ERROR(
        quantize_part(part, input, with_factor ? &*factor : nullptr, block)
            .annotate(weight_name(part)));
    TSR_RETURN_IF_ERROR(job_.part_done());
  }
  return {};
}

Result<LayerReport> LayerQuantizer::begin_report(
    uint32_t part, uint32_t K, const Scheme** out_scheme) const {
  const LayerChoice& choice = job_.choices[weight_index(layer_, part)];
  LayerReport report;
  report.name = choice.name;
  report.scheme = choice.scheme;
  report.reason = choice.reason;
  report.metric = choice.metric;
  report.fallback = choice.reason == SchemeReason::kDisableName ||
                    choice.reason == SchemeReason::kDisableLevel;
  TSR_ASSIGN_OR_RETURN(const SourceTensor stored,
                       job_.inputs.source.tensor(weight_name(part)));
  report.bytes_in = stored.bytes.size();
  report.bytes_out = report.bytes_in;
  *out_scheme = job_.scheme_of(layer_, part);
  if (*out_scheme != nullptr) report.note = misfit(**out_scheme, K);
  if (!report.note.empty()) {
    *out_scheme = nullptr;
    report.scheme = kFloatScheme;
    report.fallback = true;
  }
  return report;
}

Status LayerQuantizer::finish_part(uint32_t part, LayerReport report,
                                   const Scheme& scheme,
                                   QuantizedLinear result) {
  report.bytes_out = result.weight.bytes();
  report.mae = result.error.mean_absolute();
  report.mse = result.error.mean_squared();
  report.sqnr_db = result.error.sqnr_db();
  report.cosine = result.error.cosine();
  reports_.push_back(std::move(report));
  return job_.sink.put_weight(weight_name(part), std::move(result.weight),
                              {scheme.weight_format, scheme.group_size,
                               scheme.symmetric, scheme.act_quant});
}

Status LayerQuantizer::quantize_part(uint32_t part, CapturedInput& input,
                                     const GptqFactor* factor,
                                     DecoderBlock* block) {
  FloatLinear& linear = block->*block_parts()[part].linear;
  const Scheme* scheme = nullptr;
  TSR_ASSIGN_OR_RETURN(LayerReport report,
                       begin_report(part, linear.K, &scheme));
  report.parameters = linear.weight.size();
  if (report.metric == 0.0 &&
      job_.recipe.metric != SensitivityMetric::kLayerMse) {
    TSR_ASSIGN_OR_RETURN(report.metric,
                         input_sensitivity(job_.recipe.metric, input.observer));
  }
  if (scheme == nullptr) {
    reports_.push_back(std::move(report));
    return put_floats(weight_name(part), linear.weight, {linear.N, linear.K});
  }
  TSR_ASSIGN_OR_RETURN(
      QuantizedLinear result,
      quantize_linear({linear, *scheme, job_.recipe, &input, factor,
                       importance_of(job_.inputs, weight_name(part))},
                      job_.inputs.run));
  TSR_ASSIGN_OR_RETURN(linear.weight,
                       decode_values(result.weight, job_.inputs.run));
  return finish_part(part, std::move(report), *scheme, std::move(result));
}

}  // namespace tessera::quant
