// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic of KV blocks.

#include "framework/format/kv_block.hpp"

#include <cmath>
#include <string>

#include "framework/tensor/dtype.hpp"

namespace tessera::format {
namespace {

uint32_t code_dtype(uint32_t kv_format) {
  switch (kv_format) {
    case TSR_KV_F32:
      return TSR_F32;
    case TSR_KV_F16:
      return TSR_F16;
    case TSR_KV_BF16:
      return TSR_BF16;
    case TSR_KV_I8_TOKEN:
    case TSR_KV_I8_CHANNEL:
    case TSR_KV_I8_HEAD:
      return TSR_I8;
    default:
      return TSR_DTYPE_NONE;
  }
}

uint64_t round_up_64(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Result<KvBlockLayout> kv_block_layout(const tsr_kv_desc& desc) {
  KvBlockLayout layout;
  layout.code_dtype = code_dtype(desc.format);
  if (layout.code_dtype == TSR_DTYPE_NONE) {
    return Status(TSR_INVALID_ARGUMENT,
                  "kv format " + std::to_string(desc.format) + " is unknown");
  }
  // The division keeps the product of three below 2^64.
  const uint64_t rows = uint64_t{desc.num_kv_heads} * desc.block_size;
  const uint64_t limit = UINT64_C(1) << 37;
  if (rows == 0 || desc.head_dim == 0 || rows > limit / desc.head_dim) {
    return Status(TSR_INVALID_ARGUMENT,
                  "kv block [" + std::to_string(desc.num_kv_heads) + ", " +
                      std::to_string(desc.block_size) + ", " +
                      std::to_string(desc.head_dim) + "]");
  }
  const uint64_t codes =
      round_up_64(rows * desc.head_dim * (dtype_bits(layout.code_dtype) / 8));
  const uint64_t scales =
      desc.format == TSR_KV_I8_TOKEN ? round_up_64(rows * sizeof(float)) : 0;
  layout.v_codes = codes;
  layout.k_scales = 2 * codes;
  layout.v_scales = layout.k_scales + scales;
  layout.bytes = layout.v_scales + scales;
  return layout;
}

void probability_thresholds(double c, std::span<int32_t, 127> out_thresholds) {
  for (int k = 1; k <= 127; ++k) {
    const double d = std::floor(std::log(127.0 / (k - 0.5)) / c);
    out_thresholds[static_cast<size_t>(k - 1)] =
        d < INT32_MAX ? static_cast<int32_t>(d) : INT32_MAX;
  }
}

}  // namespace tessera::format
