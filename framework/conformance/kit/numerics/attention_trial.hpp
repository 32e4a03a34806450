// SPDX-License-Identifier: Apache-2.0
//
// One attention, its expectation, and how it is named.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/op_run.hpp"
#include "framework/conformance/kit/trial/paged_step.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

enum class Batch { kMixed, kDecode, kPrefill, kChunk, kLong };

struct AttentionSpec {
  uint32_t kv_format = TSR_KV_F32;
  uint32_t dtype = TSR_F32;
  uint32_t mask = TSR_MASK_CAUSAL;
  uint32_t window = 5;
  uint32_t head_dim = 32;
  uint32_t num_kv_heads = 2;
  uint32_t ratio = 2;  // query heads per KV head
  uint32_t block_size = 16;
  Batch batch = Batch::kMixed;
  bool as_views = false;  // q is a window of a wider tensor
  // Of the usual 1 / sqrt(head_dim): a model may scale otherwise.
  float scale_factor = 1.0f;
  uint32_t seed = 42;

  uint32_t num_q_heads() const { return num_kv_heads * ratio; }
  float scale() const;
  std::string text() const;
  std::vector<Sequence> sequences() const;
};

// `row` is the kernel that will run it; null: nothing is expected.
Result<OpTrial> make_attention(const AttentionSpec& spec,
                               const tsr_kernel_desc* row);

}  // namespace tessera::conformance
