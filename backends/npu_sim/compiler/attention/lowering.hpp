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

// Before the products: the cache from s8 to f16.
std::vector<Pass> attention_passes_before(const AttentionPlan& plan);

// Vector instructions over a tile of scores, and over the sums it changes.
inline constexpr int64_t kSoftmaxPasses = 5;  // scale, max, subtract, sum, cast
inline constexpr int64_t kUpdatePasses = 2;   // rescale, add

}  // namespace tessera::npu
