// SPDX-License-Identifier: Apache-2.0
//
// A paged KV pool in canonical blocks, and KV_APPEND, which fills it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "framework/base/status.hpp"
#include "framework/format/kv_block.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

enum class KvPart { kKey = 0, kValue = 1 };

// The blocks of one layer, in memory of the caller's.
class KvPool {
 public:
  // Errors  those of format::kv_block_layout; INVALID_ARGUMENT if `memory` is
  //         smaller than num_blocks blocks
  static Result<KvPool> open(const tsr_kv_desc& desc,
                             std::span<std::byte> memory);

  const tsr_kv_desc& desc() const { return desc_; }
  uint64_t num_slots() const {
    return uint64_t{desc_.num_blocks} * desc_.block_size;
  }

  // Codes of one head at one slot (block * block_size + offset), [head_dim].
  std::byte* codes(KvPart part, uint64_t slot, uint32_t head) const;
  uint32_t code_dtype() const { return layout_.code_dtype; }
  // I8_TOKEN: the scale of one head at one slot.
  std::byte* token_scale(KvPart part, uint64_t slot, uint32_t head) const;

  // The real values of one head at one slot.
  //
  // Shapes  static_scale [2, num_kv_heads] or [2, num_kv_heads, head_dim]; the
  //         static I8 formats only
  void read(KvPart part, uint64_t slot, uint32_t head,
            const float* static_scale, std::span<double> out_row) const;

 private:
  tsr_kv_desc desc_{};
  format::KvBlockLayout layout_;
  std::byte* memory_ = nullptr;
};

// Where element i of a head finds its static scale or its inverse.
size_t static_scale_index(const tsr_kv_desc& desc, KvPart part, uint32_t head,
                          uint32_t i);

// KV_APPEND: rotates k by its position, converts k and v to the pool's type and
// stores them at their slots.
//
//   F32         as it is
//   F16, BF16   round to nearest even
//   I8_TOKEN    dynamic codes of each head, activation.hpp; its scale beside it
//   I8_CHANNEL, I8_HEAD
//               clamp(rne(RN(x * kv_inv)), -127, 127)
//
// Shapes  k, v [num_tokens, num_kv_heads, head_dim]; slot_mapping, positions
//         [num_tokens]; table [max_positions, rotary_dim]; kv_inv as
//         static_scale
// Types   the rotation is in f32, each product and sum rounded
// Errors  INVALID_ARGUMENT for a slot outside the pool, a missing kv_inv, and
//         as rope
// Source  ops.h
struct KvAppend {
  uint32_t num_tokens = 0;
  const float* k = nullptr;
  const float* v = nullptr;
  const int32_t* slot_mapping = nullptr;  // negative: not stored
  const int32_t* positions = nullptr;     // null without rotation, like table
  const float* table = nullptr;
  uint32_t max_positions = 0;
  uint32_t style = TSR_ROPE_NONE;
  uint32_t rotary_dim = 0;
  const float* kv_inv = nullptr;  // static I8 formats only
};

Status kv_append(const KvAppend& p, const KvPool& pool);

}  // namespace tessera::reference
