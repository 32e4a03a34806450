// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/simulation/packet_depth.hpp"

#include "backends/npu_sim/compiler/gemm/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/trials.hpp"
#include "backends/npu_sim/machine/machine.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kShallowBytes = 256;  // of a packet's row
// Of the cube, 8192 cubed: longer products are run once.
constexpr double kMostSteps = 4e5;

double real(int64_t value) { return static_cast<double>(value); }

double steps_of(const GemmPlan& plan) {
  double tiles = 0;
  for (const GemmPart& part : plan.parts) {
    tiles += real(plan.tiles_m(part)) * real(plan.tiles_n());
  }
  return tiles * real(plan.gemm.K) / real(plan.tiling.tile_k);
}

int64_t shallow_k(const GemmPlan& plan) {
  return kShallowBytes * 8 / bits_of(plan.kind.cube);
}

// One core alone has DRAM to itself, and a large L2 holds what is read again.
bool may_be_shallow(const Profile& profile, const GemmPlan& plan,
                    const SimulateOptions& options) {
  const GemmTiling& forced = options.tiling;
  const bool shares_small_l2 = profile.unified_cores && profile.cube_cores > 1;
  return shares_small_l2 && forced.packet_k == 0 && forced.tile_k == 0 &&
         plan.kind.sum_k == 0 && !plan.kind.unzips && options.double_buffer &&
         plan.tiling.packet_k > shallow_k(plan) && steps_of(plan) <= kMostSteps;
}

double cycles_of(const Profile& profile, const GemmPlan& plan) {
  return run_stream(profile, lower_gemm(profile, plan), false).cycles;
}

}  // namespace

GemmPlan fastest_depth(const Profile& profile, const Gemm& gemm,
                       const std::vector<int64_t>& rows,
                       const SimulateOptions& options) {
  GemmPlan deep = fastest_plan(profile, gemm, rows, options);
  if (!may_be_shallow(profile, deep, options)) return deep;
  SimulateOptions shallow = options;
  shallow.tiling.packet_k = shallow_k(deep);
  GemmPlan other = fastest_plan(profile, gemm, rows, shallow);
  return cycles_of(profile, other) < cycles_of(profile, deep) ? other : deep;
}

}  // namespace tessera::npu
