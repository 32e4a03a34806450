// SPDX-License-Identifier: Apache-2.0
//
// Linears as msModelSlim stores them for Ascend devices, read and written.

#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

inline constexpr const char* kMsModelSlimDescription =
    "quant_model_description.json";

//   W8A8, W8A8_MIX           weight I8 [N, K]; input_scale, input_offset [1];
//                            quant_bias I32 [N]; deq_scale [N]: F32, or I64
//                            that holds the bits of an f32.
//                            q_x = x / input_scale + input_offset
//                            y = (q_x W^T + quant_bias) * deq_scale
//   W8A8_DYNAMIC, W8A16 and  weight I8 [N, K]; weight_scale, weight_offset
//   W8A8_MIX                 [N, groups].  w = (q - weight_offset) *
//                            weight_scale
//   W4A16, W4A8_DYNAMIC,     the same with two codes a byte, [N, K / 2], the
//   W4A4_DYNAMIC             even column in the low nibble (msModelSlim does
//                            not document the order); W4A8_DYNAMIC has
//                            scale_bias F32 [N], which must be 0
//   WFP8AFP8_DYNAMIC         weight E4M3 [N, K]; weight_scale, weight_offset
//
// The group size is "group_size" of the description; 0 and columns that are no
// groups of it: one scale a row.  `description` is
// quant_model_description.json.
//
// Errors  UNIMPLEMENTED, naming tensor and type, for a type that is not read
// Source  Ascend/msmodelslim, docs/en/feature_guide, quantization_result.md
Result<std::unique_ptr<QuantizedLayout>> make_msmodelslim_layout(
    const nlohmann::json& description);

// The name of the type for a weight of that kind.
// Errors  UNIMPLEMENTED if msModelSlim has none
Result<std::string> msmodelslim_type(const LinearChoice& choice);

// The tensors of a linear, as above.  `activation_dtype` is that of the model:
// input_scale and input_offset get it, and deq_scale is I64 if it is F16.
// `bias` [N], if not empty, is folded into quant_bias.
//
// Errors  UNIMPLEMENTED if msModelSlim has no type for the weight or cannot
//         hold a part of it, such as a column order
Result<std::vector<NamedTensor>> write_msmodelslim_linear(
    const std::string& module, const format::WeightData& weight,
    const LinearChoice& choice, uint32_t activation_dtype,
    std::span<const float> bias);

}  // namespace tessera
