// SPDX-License-Identifier: Apache-2.0
//
// Linears as GPTQ and AWQ programs store them: int32 words of codes along K or
// N, and one zero point and one f16 scale per group.

#pragma once

#include <cstdint>
#include <memory>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/layouts/quantized_layout.hpp"

namespace tessera {

// GPTQ of 4 or 8 bits; w = scale * (q - zero).
//
//   qweight  I32 [K / n, N]       n = 32 / bits; word r holds rows r n + i, low
//                                 first
//   qzeros   I32 [groups, N / n]  zero - 1 in checkpoint_format "gptq", zero in
//                                 "gptq_v2"
//   scales   [groups, N]
//   g_idx    I32 [K]              the group of each row; may be missing
//
// The groups of act-order become a PERMUTATION plane.
//
// Errors  INVALID_ARGUMENT for a field of another type, UNIMPLEMENTED, naming
//         it, for bits or a checkpoint_format that is not read
// Source  ModelCloud/GPTQModel, utils/model.py
Result<std::unique_ptr<QuantizedLayout>> make_gptq_layout(
    const JsonObject& config);

// AWQ's GEMM order, 4 bits; w = scale * (q - zero).
//
//   qweight  I32 [K, N / 8]       nibble i of a word is column 0 2 4 6 1 3 5 7
//   qzeros   I32 [groups, N / 8]  likewise
//   scales   [groups, N]
//
// Errors  as above, for bits and `version`
// Source  casper-hansen/AutoAWQ, awq/utils/packing_utils.py
Result<std::unique_ptr<QuantizedLayout>> make_awq_layout(
    const JsonObject& config);

}  // namespace tessera
