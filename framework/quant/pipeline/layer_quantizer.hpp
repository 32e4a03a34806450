// SPDX-License-Identifier: Apache-2.0
//
// One decoder layer of a run, from the file's floats into the sink.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/fallback/fallback.hpp"
#include "framework/quant/pipeline/calibrator.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"
#include "framework/quant/pipeline/suppress_outliers.hpp"
#include "framework/quant/recipe/recipe.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {

inline constexpr uint32_t kNumParts = 7;
inline constexpr const char* kFloatScheme = "float";

// What the layers of one run share.
struct QuantizeJob {
  const QuantizeInputs& inputs;
  const Recipe& recipe;
  QuantizedSink& sink;
  std::map<std::string, Scheme> schemes;  // without kFloatScheme
  uint32_t kv_format;                     // TSR_KV_*
  std::vector<LayerChoice> choices;       // of part p of layer l: l * 7 + p
  // After every linear.  Errors: CANCELLED.
  std::function<Status()> part_done;

  // Null for floats.
  const Scheme* scheme_of(uint32_t layer, uint32_t part) const;
};

// A linear of layer `layer` in the graph, which has the parts in the order of
// block_parts().
inline uint32_t weight_index(uint32_t layer, uint32_t part) {
  return layer * kNumParts + part;
}

class LayerQuantizer {
 public:
  // Everything outlives this.  `calibrator` stands before the layer; it may be
  // null if the recipe needs no calibration.
  LayerQuantizer(const QuantizeJob& job, uint32_t layer, Calibrator* calibrator,
                 std::vector<LayerReport>* reports);

  // Leaves the calibrator behind the layer as the file will have it.
  //
  // Errors  those of quantize_model
  Status run();

 private:
  // Calibrated: the layer as a block of floats.
  Status run_block();
  Status suppress(DecoderBlock* block);
  Status put_vectors(const DecoderBlock& block);
  Status quantize_parts(LayerCapture& capture, DecoderBlock* block);
  Status quantize_part(uint32_t part, CapturedInput& input,
                       const GptqFactor* factor, DecoderBlock* block);
  Status put_floats(const std::string& name, const std::vector<float>& now,
                    const std::vector<uint64_t>& shape);
  Status advance(const WeightSource& source);

  // Not calibrated: one stored tensor at a time.
  Status run_stored();
  Status quantize_stored_part(uint32_t part);

  const std::string& weight_name(uint32_t part) const;
  // The report's first fields; *out_scheme is null for floats.
  Result<LayerReport> begin_report(uint32_t part, uint32_t K,
                                   const Scheme** out_scheme) const;
  Status finish_part(uint32_t part, LayerReport report, const Scheme& scheme,
                     QuantizedLinear result);

  const QuantizeJob& job_;
  uint32_t layer_;
  LayerTensorNames names_;
  Calibrator* calibrator_;
  std::vector<LayerReport>& reports_;
};

}  // namespace tessera::quant
