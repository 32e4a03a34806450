// SPDX-License-Identifier: Apache-2.0
//
// What the commands that quantize share: the model, the calibration text, the
// device that calibrates, and a recipe from options.

#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/services/thread_pool.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::cli {

// Options that make up a recipe, and what it is calibrated with.
struct QuantizationOptions {
  std::string model;
  std::string scheme;
  std::string method = "nearest";
  std::string outliers = "none";
  std::vector<std::string> disable_names;
  std::string disable_level;
  std::string calibration_text;  // empty: text/calibrate.txt of the model
  uint32_t calibration_tokens = 8192;
  uint32_t context = 0;  // tokens of a text, at most; 0: what the model has
  std::string device = "cpu";
  uint32_t threads = 0;
};

void add_quantization_options(CLI::App& app, QuantizationOptions& options);

// The recipe that the options ask for.
// Errors: INVALID_ARGUMENT, naming the option.
Result<quant::Recipe> recipe_of(const QuantizationOptions& options);

// A model ready to be quantized.
struct Quantization {
  LoadedModel loaded;
  std::shared_ptr<Device> device;
  std::vector<std::vector<int32_t>> texts;  // of calibration
  std::unique_ptr<ThreadPool> pool;

  // `num_tokens` of the texts, from the front; 0: all.
  quant::QuantizeInputs inputs(
      uint32_t num_tokens, std::function<void(double share)> on_progress) const;
};

// Errors  those of load_model(); NOT_FOUND if the recipe needs calibration and
//         there is no text or no such device
Result<Quantization> open_quantization(const QuantizationOptions& options,
                                       bool with_calibration);

}  // namespace tessera::cli
