// SPDX-License-Identifier: Apache-2.0
//
// Codes of weights that become values of the cube's type a slice at a time, so
// that the wide values are read while L2 still holds them.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// Some columns of one weight, or some whole weights.  A slice is widened into
// the place of the one before it, once all cores are done with that.
struct WeightSlice {
  int64_t index = 0;
  int64_t first_part = 0;  // of the plan's
  int64_t num_parts = 1;
  int64_t first_column = 0;
  int64_t columns = 0;
  // Of all weights as they are stored, one after another.
  int64_t first_element = 0;
  int64_t elements = 0;
};

// In the order of their work; one of everything if nothing is sliced.  Weights
// that no row needs are left out of sliced plans.
std::vector<WeightSlice> slices_of(const GemmPlan& plan);

// Whether columns of a weight lie together, so that they can be a slice.
bool has_column_slices(const GemmPlan& plan);

// Sizes of slices worth trying, as GemmTiling::wide_n; none where the wide
// weights fit L2 anyway.
std::vector<int64_t> slice_sizes(const Profile& profile, const GemmPlan& plan);

// A product of the size of one slice, not the first, and how many it stands
// for.
struct SliceSample {
  GemmPlan plan;
  double count = 1;
};

// A few that stand for all, the one with the most rows first; `plan` itself if
// nothing is sliced.
std::vector<SliceSample> sample_slices(const GemmPlan& plan);

}  // namespace tessera::npu
