// SPDX-License-Identifier: Apache-2.0
//
// Cycles of a planned product by formula; what the search minimizes.

#pragma once

#include "backends/npu_sim/compiler/gemm/tile_times.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"

namespace tessera::npu {

struct GemmCost {
  double cycles = 0;       // of the whole launch
  double cube_cycles = 0;  // of the busiest core
  double mte1_cycles = 0;
  double mte2_cycles = 0;
  double fixpipe_cycles = 0;
  double dram_read_bytes = 0;
  double dram_write_bytes = 0;
  double l2_read_bytes = 0;
};

struct GemmEffort {
  // Of a launch; the more, the nearer: the time of one depends on what those
  // before it left in L2.
  int stretches = 1;
  // Of the results, what is taken to lie in L2 from the start.
  double dirty_share = 0;
};

// Plans of one problem, which differ in their tilings.
class GemmModel {
 public:
  GemmModel(const Profile& profile, const GemmPlan& plan);

  // Infinite cycles, as soon as they are known to be no less than `enough`.
  GemmCost cost(const GemmContext& context, const GemmEffort& effort,
                double enough) const;

  // Whether all that the product touches fits L2 at once.
  bool fits(const GemmPlan& plan) const;
  const PartsSummary& parts() const { return parts_; }
  // Of the passes before the product.
  double cycles_before() const { return passes_cycles_; }

 private:
  const Profile& profile_;
  PartsSummary parts_;
  double passes_cycles_;
};

GemmCost cost_of_plan(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
