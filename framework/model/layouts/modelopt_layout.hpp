// SPDX-License-Identifier: Apache-2.0
//
// Linears as NVIDIA's ModelOpt stores them.

#pragma once

#include <memory>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

//   NVFP4  weight U8 [N, K / 2]; weight_scale E4M3 [N, K / 16]; weight_scale_2
//          F32, multiplies; activations, 4-bit too in ModelOpt, stay floats
//   FP8    weight E4M3 [N, K]; weight_scale F32, of the tensor; activations get
//          a scale per token
//
// `config` is the "quantization" of hf_quant_config.json, or the
// quantization_config of config.json.
//
// Errors  UNIMPLEMENTED, naming it, for another quant_algo
// Source  NVIDIA/TensorRT-Model-Optimizer, modelopt/torch/export
Result<std::unique_ptr<QuantizedLayout>> make_modelopt_layout(
    const JsonObject& config);

}  // namespace tessera
