// SPDX-License-Identifier: Apache-2.0
//
// The canonical KV block that tessera/types.h draws, and the constants that the
// host computes for int8 KV caches.

#pragma once

#include <cstdint>
#include <span>

#include "framework/base/status.hpp"
#include "tessera/types.h"

namespace tessera::format {

// Byte offsets inside one canonical block, which holds `bytes`, a multiple of
// 64.
struct KvBlockLayout {
  uint32_t code_dtype = 0;  // TSR_F32 ...
  uint64_t k_codes = 0;     // [num_kv_heads, block_size, head_dim]
  uint64_t v_codes = 0;     // likewise
  uint64_t k_scales = 0;    // F32 [num_kv_heads, block_size]; I8_TOKEN only
  uint64_t v_scales = 0;    // likewise
  uint64_t bytes = 0;
};

// Errors  INVALID_ARGUMENT if the format is unknown, a dimension is 0 or a
//         block is larger than 2^40 bytes
Result<KvBlockLayout> kv_block_layout(const tsr_kv_desc& desc);

// thresholds[k - 1] is the largest d = rowmax - s at which the 8-bit code of
// exp(-c d) is still at least k: floor(ln(127 / (k - 0.5)) / c), at most
// 2^31 - 1.
//
// Requires  c > 0: the product of both scales and the softmax scale
// Source    numerics.md section 2
void probability_thresholds(double c, std::span<int32_t, 127> out_thresholds);

}  // namespace tessera::format
