// SPDX-License-Identifier: Apache-2.0
//
// Where codes and scales lie in a KV block.  The cpu keeps blocks canonical
// (tessera/types.h), so export and import are copies.

#pragma once

#include <cstddef>
#include <cstdint>

#include "tessera/ops.h"
#include "tessera/types.h"

namespace tessera::cpu {

struct KvLayout {
  uint32_t format = 0;  // TSR_KV_*
  uint32_t dtype = 0;   // of a code
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t block_size = 0;
  int64_t num_blocks = 0;
  // Bytes; offsets from the start of a block, multiples of 64 like block_bytes.
  int64_t row_bytes = 0;   // the codes of one token and head
  int64_t head_bytes = 0;  // those of all tokens of one head
  int64_t v_offset = 0;
  int64_t k_scale_offset = 0;  // I8_TOKEN only, like the next
  int64_t v_scale_offset = 0;
  int64_t block_bytes = 0;
};

// The layout of a pool of num_blocks blocks of block_bytes each.
//
// Errors   throws Error INVALID_ARGUMENT if the format is unknown, a size is 0
//          or the pool does not fit 2^62 bytes
KvLayout make_kv_layout(const tsr_kv_desc& desc);

struct KvPool {
  std::byte* data = nullptr;
  int64_t num_blocks = 0;
};

// Copies block pairs[i].src of one pool to block pairs[i].dst of another of the
// same layout, or of the same: prefix sharing and swap, and also canonical
// export and import.
//
// Errors   throws Error INVALID_ARGUMENT if a block is not in its pool
void kv_copy(const KvLayout& layout, const KvPool& src, const KvPool& dst,
             const tsr_block_pair* pairs, int64_t num_pairs);

}  // namespace tessera::cpu
