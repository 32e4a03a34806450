// SPDX-License-Identifier: Apache-2.0
//
// Streamed vector ops, the model's small ops and bare copies.

#pragma once

#include "backends/npu_sim/compiler/pass.hpp"
#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// One pass on a number of vector cores.
struct VectorPlan {
  Pass pass;
  int64_t lanes = 0;
};

// Errors  throws sdk::Error INVALID_ARGUMENT for shapes without elements, more
//         cores than there are, or a tile beyond its memory
VectorPlan plan_vector(const Profile& profile, const VectorOp& op);
VectorPlan plan_small(const Profile& profile, const SmallOp& op);
Stream lower_vector(const Profile& profile, const VectorPlan& plan);

Stream lower_copy(const Profile& profile, const Copy& copy);
double copy_cycles(const Profile& profile, const Copy& copy);

}  // namespace tessera::npu
