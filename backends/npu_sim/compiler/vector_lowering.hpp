// SPDX-License-Identifier: Apache-2.0
//
// Streamed vector ops and the model's small ops.

#pragma once

#include "backends/npu_sim/compiler/pass.hpp"
#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// How rows come to the vector cores.
enum class RowWay : uint8_t {
  kPass,     // a pass over all elements, or over rows that UB holds
  kParts,    // rows beyond UB, in parts
  kIndexed,  // by their numbers
};

// A row op on a number of vector cores.
struct VectorPlan {
  RowWay way = RowWay::kPass;
  Pass pass;      // kPass
  SmallOp small;  // the other ways
  int64_t lanes = 0;
};

// Errors  throws sdk::Error INVALID_ARGUMENT for shapes without elements, or
//         more cores than there are
VectorPlan plan_vector(const Profile& profile, const VectorOp& op);
VectorPlan plan_small(const Profile& profile, const SmallOp& op);
Stream lower_vector(const Profile& profile, const VectorPlan& plan);
double vector_cycles(const Profile& profile, const VectorPlan& plan);

// Errors  as plan_small, and those of emit_cache_append
Stream lower_cache_append(const Profile& profile, const CacheAppend& op);
int64_t append_lanes(const Profile& profile, const CacheAppend& op);

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
