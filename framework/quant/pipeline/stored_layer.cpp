// SPDX-License-Identifier: Apache-2.0
//
// The way without calibration: each tensor is read once, a few rows at a time,
// and its pages are given back.

#include <fmt/format.h>

#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/format/row_codec.hpp"
#include "framework/quant/pipeline/layer_quantizer.hpp"
#include "framework/quant/weights/round_rows.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

// True if rounding looks at no more than a row.
bool rounds_in_passing(const Recipe& recipe, const Scheme& scheme) {
  return !scheme.sparsified && recipe.sparsity.zero_fraction == 0.0 &&
         recipe.clip.num_steps == 0 && is_integer_scheme(scheme) &&
         rounds_by_rows(weight_scheme_of(scheme));
}

Result<QuantizedLinear> round_stored(const SourceTensor& stored, uint32_t N,
                                     uint32_t K, const Scheme& scheme,
                                     const ParallelFor& run) {
  const auto read = [&](uint32_t first, std::span<float> out) {
    format::read_floats(stored.dtype, stored.bytes.data(), size_t{first} * K,
                        out);
  };
  TSR_ASSIGN_OR_RETURN(
      RoundedWeight rounded,
      round_to_nearest(weight_scheme_of(scheme), N, K, read, run));
  return QuantizedLinear{std::move(rounded.weight), rounded.error};
}

}  // namespace

Status LayerQuantizer::run_stored() {
  std::vector<std::string> vectors = {names_.attention_norm, names_.mlp_norm};
  if (job_.inputs.config.qk_norm) {
    vectors.insert(vectors.end(), {names_.q_norm, names_.k_norm});
  }
  for (uint32_t part = 0; part < kNumParts; ++part) {
    if (has_bias(job_.inputs.config, part)) {
      vectors.push_back(names_.*block_parts()[part].bias);
    }
  }
  for (const std::string& name : vectors) {
    TSR_RETURN_IF_ERROR(check_stored(job_.inputs.source, name));
    TSR_RETURN_IF_ERROR(job_.sink.keep(name));
  }
  for (uint32_t part = 0; part < kNumParts; ++part) {
    TSR_RETURN_IF_ERROR(quantize_stored_part(part));
    TSR_RETURN_IF_ERROR(job_.part_done());
  }
  return {};
}

Status LayerQuantizer::quantize_stored_part(uint32_t part) {
  const QuantizeInputs& inputs = job_.inputs;
  const std::string& name = weight_name(part);
  const auto [N, K] = part_shape(inputs.config, part);
  const Scheme* scheme = nullptr;
  TSR_ASSIGN_OR_RETURN(LayerReport report, begin_report(part, K, &scheme));
  report.parameters = uint64_t{N} * K;
  TSR_ASSIGN_OR_RETURN(const SourceTensor stored, inputs.source.tensor(name));
  const uint64_t found = stored.bytes.size() / dtype_bytes(stored.dtype, 1);
  if (found != report.parameters) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: {} elements for [{}, {}]", name, found, N, K)};
  }
  if (scheme == nullptr) {
    TSR_RETURN_IF_ERROR(check_stored(inputs.source, name));
    reports_.push_back(std::move(report));
    return job_.sink.keep(name);
  }
  if (part + 1 < kNumParts) {
    TSR_ASSIGN_OR_RETURN(const SourceTensor next,
                         inputs.source.tensor(weight_name(part + 1)));
    prefetch_mapped(next.bytes);
  }
  if (rounds_in_passing(job_.recipe, *scheme)) {
    TSR_ASSIGN_OR_RETURN(
        QuantizedLinear result,
        round_stored(stored, N, K, *scheme, inputs.run).annotate(name));
    release_mapped(stored.bytes);
    return finish_part(part, std::move(report), *scheme, std::move(result))
        .annotate(name);
  }
  FloatLinear linear{N, K, {}, {}};
  TSR_ASSIGN_OR_RETURN(linear.weight,
                       read_values(inputs.source, name, report.parameters));
  release_mapped(stored.bytes);
  TSR_ASSIGN_OR_RETURN(QuantizedLinear result,
                       quantize_linear({linear, *scheme, job_.recipe, nullptr,
                                        nullptr, importance_of(inputs, name)},
                                       inputs.run)
                           .annotate(name));
  return finish_part(part, std::move(report), *scheme, std::move(result))
      .annotate(name);
}

}  // namespace tessera::quant
