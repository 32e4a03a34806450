// SPDX-License-Identifier: Apache-2.0
//
// Folders of quantized models, whichever program wrote them.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/checkpoint.hpp"
#include "framework/model/config.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

// The layout that `folder` says it has; null for plain floats.  Looked for in
// quantization_config (or compression_config) of config.json, in
// hf_quant_config.json, quantize_config.json and quant_model_description.json.
//
// Errors  INVALID_ARGUMENT if a file or a field is damaged
//         UNIMPLEMENTED, naming it, for a method or a variant that is not read
Result<std::shared_ptr<const QuantizedLayout>> find_quantized_layout(
    const std::string& folder);

// The checkpoint's tensors by name, quantized ones as they are stored and, for
// who asks for values, decoded.
//
// Requires  `checkpoint` outlives the result and stays where it is.
WeightSource quantized_source(
    const Checkpoint& checkpoint,
    const std::shared_ptr<const QuantizedLayout>& layout);

// Whether the source has every tensor of required_tensors(), in floats or
// quantized, with the right shape.
//
// Errors  NOT_FOUND, INVALID_ARGUMENT or UNIMPLEMENTED, naming the tensor
Status check_quantized_tensors(const ModelConfig& config,
                               const Checkpoint& checkpoint,
                               const QuantizedLayout& layout);

}  // namespace tessera
