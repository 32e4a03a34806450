// SPDX-License-Identifier: Apache-2.0
//
// Planned attention as a stream: scores, softmax and the product with V of
// neighbouring tiles of keys run beside each other.

#pragma once

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/pass.hpp"
#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

Stream lower_attention(const Profile& profile, const AttentionPlan& plan);

// Before the products: codes of queries, for integer attention.
std::vector<Pass> attention_passes_before(const Profile& profile,
                                          const AttentionPlan& plan);

// Vector instructions over a tile of scores, and over the sums it changes.
inline constexpr int64_t kSoftmaxPasses = 5;  // scale, max, subtract, sum, cast
inline constexpr int64_t kUpdatePasses = 2;   // rescale, add
// Of integer scores: fold and maximum; subtract, convert, scale, scale back,
// narrow, and what sets right the codes beside a threshold, found by the host.
inline constexpr int64_t kMaximumPasses = 2;
inline constexpr int64_t kCodePasses = 7;
// Of a cache in s8: to f16, to f32, times the scale, to f16.
inline constexpr int64_t kWidenPasses = 4;

}  // namespace tessera::npu
