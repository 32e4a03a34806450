// SPDX-License-Identifier: Apache-2.0
//
// Linears as compressed-tensors (vLLM, llm-compressor) stores them.

#pragma once

#include <memory>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

//   pack-quantized    weight_packed I32 [N, ceil(K / n)], n = 32 / bits: code +
//                     2^(bits - 1), low first; weight_shape [2]; weight_scale
//                     [N, groups]; weight_zero_point I32 [ceil(N / n), groups],
//                     packed down the rows, if asymmetric; weight_g_idx [K]
//   int-quantized     weight I8 [N, K]; weight_scale; weight_zero_point I8
//   float-quantized   weight E4M3 [N, K]; weight_scale
//   *fp4-pack-*       format/fp4_layout.hpp
//   fp4-pack-         Tessera's own: weight_packed U8 [N, K / 2], E2M1 codes,
//   quantized         even columns low; weight_scale [N, groups] in floats
//   static inputs     input_scale [1]; input_zero_point I8 [1] if asymmetric
//
// Which of these a linear has follows from its tensors.  Integer activations
// are as the config says; E4M3 ones get a scale per token, also where the file
// has a static one; 4-bit float ones are left in floats.
//
// `config` is the quantization_config of a config.json.
//
// Errors  INVALID_ARGUMENT for a field of another type, UNIMPLEMENTED, naming
//         it, for a num_bits, type, strategy or sparsity that is not read
// Source  neuralmagic/compressed-tensors, src/compressed_tensors/compressors
Result<std::unique_ptr<QuantizedLayout>> make_compressed_tensors_layout(
    const JsonObject& config);

}  // namespace tessera
