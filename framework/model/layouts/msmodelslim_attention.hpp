// SPDX-License-Identifier: Apache-2.0
//
// Static scales of int8 attention as msModelSlim stores them.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/attention_scales.hpp"
#include "framework/model/checkpoint.hpp"
#include "framework/model/layouts/named_tensor.hpp"

namespace tessera {

// Types in quant_model_description.json, and the values of its kv_cache_type
// and fa_quant_type.
inline constexpr const char* kMsModelSlimC8 = "C8";
inline constexpr const char* kMsModelSlimFa3 = "FAQuant";

//   C8       self_attn.{k,v}_proj.kv_cache_scale, kv_cache_offset, one per KV
//            channel
//   FAQuant  self_attn.fa_{q,k,v}.scale, offset, [heads, 1]
//
// All F32; offsets are 0.
//
// Source  Ascend/msmodelslim, docs/en/feature_guide, quantization_result.md
std::vector<NamedTensor> write_msmodelslim_attention(
    uint32_t layer, const AttentionScales& scales);

// The scales of a layer; nothing if the checkpoint has none.
//
// Errors  NOT_FOUND or INVALID_ARGUMENT, naming the tensor, if one of a set is
//         missing or holds no floats; UNIMPLEMENTED for offsets other than 0
Result<std::optional<AttentionScales>> read_msmodelslim_attention(
    const Checkpoint& checkpoint, uint32_t layer);

}  // namespace tessera
