// SPDX-License-Identifier: Apache-2.0
//
// Streamed vector ops and the model's small ops.

#pragma once

#include "backends/npu_sim/compiler/pass.hpp"
#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// One pass on a number of vector cores.
struct VectorPlan {
  Pass pass;
  int64_t lanes = 0;
};

// Errors  throws sdk::Error INVALID_ARGUMENT for shapes without elements, or
//         more cores than there are
VectorPlan plan_vector(const Profile& profile, const VectorOp& op);
VectorPlan plan_small(const Profile& profile, const SmallOp& op);
Stream lower_vector(const Profile& profile, const VectorPlan& plan);

// What every op of rows and columns asks for.
//
// Errors  throws sdk::Error INVALID_ARGUMENT
void check_shape(const char* name, int64_t rows, int64_t columns);
// `wanted` of those there are; 0: all.
//
// Errors  as check_shape
int64_t choose_cores(const Profile& profile, const char* name, int64_t wanted,
                     int64_t there);

}  // namespace tessera::npu
