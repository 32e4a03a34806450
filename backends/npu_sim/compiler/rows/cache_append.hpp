// SPDX-License-Identifier: Apache-2.0
//
// New keys and values into a paged cache: what attention reads, block by block,
// KV head by KV head, column by column of 32 bytes with all tokens of the block
// (16 bytes where codes become floats before the products).

#pragma once

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// Dims of a column.
int64_t cache_column_dims(KvType kv);

// The share of lane `lane` of `num_lanes`: heads of tokens, one after another.
//
// Errors  throws sdk::Error INVALID_ARGUMENT for sizes below 1, blocks of a
//         head of 2^31 bytes or more, or a head that UB does not hold
void emit_cache_append(const Profile& profile, const CacheAppend& op,
                       int64_t lane, int64_t num_lanes, Emitter& emit);

// Its time by formula; errors as above.
double cache_append_cycles(const Profile& profile, const CacheAppend& op,
                           int64_t num_lanes);

}  // namespace tessera::npu
