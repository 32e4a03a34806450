// SPDX-License-Identifier: Apache-2.0
//
// Rows of a table by their numbers, which are data: a copy for each.

#pragma once

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// The rows of lane `lane` of `num_lanes`.
//
// Requires  op.kind is kEmbedding
// Errors    throws sdk::Error INVALID_ARGUMENT for rows of 2^31 bytes or more
void emit_embedding(const Profile& profile, const SmallOp& op, int64_t lane,
                    int64_t num_lanes, Emitter& emit);

// Its time by formula; errors as above.
double embedding_cycles(const Profile& profile, const SmallOp& op,
                        int64_t num_lanes);

}  // namespace tessera::npu
