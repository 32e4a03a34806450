// SPDX-License-Identifier: Apache-2.0
//
// A KV pool in the canonical blocks of tessera/types.h.

#pragma once

#include <cstddef>
#include <cstdint>

#include "tessera/ops.h"

namespace tessera::npu {

enum class KvPart : uint8_t { kKey = 0, kValue = 1 };

struct KvLayout {
  uint32_t format = 0;  // TSR_KV_*
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  // Of V, which canonical blocks have as K; `v_in_k`: it is the first of K's
  // dims, as multi-head latent attention stores it.
  int64_t v_dim = 0;
  bool v_in_k = false;
  int64_t block_size = 0;
  int64_t num_blocks = 0;
  int64_t code_bytes = 0;  // of one code
  // From the start of a block, multiples of 64 like block_bytes.
  int64_t v_offset = 0;
  int64_t k_scale_offset = 0;  // I8_TOKEN only, like the next
  int64_t v_scale_offset = 0;
  int64_t block_bytes = 0;

  bool has_static_scales() const {
    return format == TSR_KV_I8_CHANNEL || format == TSR_KV_I8_HEAD;
  }
};

// Errors   throws sdk::Error INVALID_ARGUMENT if the format is unknown, a size
//          is 0, or the pool does not fit 2^62 bytes
KvLayout make_kv_layout(const tsr_kv_desc& desc);

// The blocks of one layer.
struct KvPool {
  KvLayout layout;
  std::byte* data = nullptr;

  // Codes of one head at one slot (block * block_size + offset), [head_dim] or
  // [v_dim].
  std::byte* codes(KvPart part, int64_t slot, int64_t head) const;
  // I8_TOKEN: the scale of one head at one slot.
  std::byte* token_scale(KvPart part, int64_t slot, int64_t head) const;
  // Where a head finds its static scale, or the first of head_dim.
  int64_t static_scale_index(KvPart part, int64_t head) const;
};

}  // namespace tessera::npu
