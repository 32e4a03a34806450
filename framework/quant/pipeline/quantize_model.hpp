// SPDX-License-Identifier: Apache-2.0
//
// A whole model, layer by layer: calibrate, suppress outliers, choose schemes,
// round, report.  No more than one layer is held in floats.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/model/config.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/pipeline/quantize_report.hpp"
#include "framework/quant/pipeline/quantized_sink.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::quant {

struct QuantizeInputs {
  const ModelConfig& config;
  const WeightSource& source;
  // For calibration; may be null if the recipe asks for nothing that needs it.
  std::shared_ptr<Device> device;
  std::vector<std::vector<int32_t>> texts;  // of calibration
  ParallelFor run = run_serially();
  // Called with the share of the work that is done, from 0 to 1.
  std::function<void(double share)> on_progress = [](double) {};
  // Asked between linears: whether to stop.
  std::function<bool()> is_cancelled = [] { return false; };
  // Mean squared inputs of each linear by the weight's name, for the encoders
  // of GGUF formats; null without an imatrix.
  const std::map<std::string, std::vector<float>>* importance = nullptr;
};

// Of one weight; empty if nothing is known.
std::span<const float> importance_of(const QuantizeInputs& inputs,
                                     const std::string& name);

// True if the recipe reads calibration texts.
// Errors  INVALID_ARGUMENT for an unknown scheme
Result<bool> needs_calibration(const Recipe& recipe);

// Quantizes the block linears; the head and the embedding stay floats.  Goes on
// after the last layer that the sink has of an earlier run of the same inputs
// and recipe; the result is the same.
//
// Errors  INVALID_ARGUMENT for an unknown scheme or values that cannot be
//         rounded, naming the tensor; FAILED_PRECONDITION if calibration is
//         needed and there are no texts or no device; CANCELLED; those of the
//         source, the device and the sink
Result<QuantizeReport> quantize_model(const QuantizeInputs& inputs,
                                      const Recipe& recipe,
                                      QuantizedSink& sink);

}  // namespace tessera::quant
