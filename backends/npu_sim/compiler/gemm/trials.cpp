// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/compiler/gemm/trials.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "backends/npu_sim/compiler/gemm/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/machine.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
// The cost model is seldom more than 15 % off, to either side.
constexpr SearchBreadth kOfAligned{4, 1.15};
constexpr SearchBreadth kOfRagged{2, 1.1};
constexpr size_t kInOrder = 2;
// Products of a fractal on the cube that all trials together may have: six of
// 8192 cubed, which take some tenths of a second each.
constexpr double kMostSteps = 1.6e6;

struct Shape {
  Gemm gemm;
  std::vector<int64_t> rows;
};

// Whole fractals on each side; less than one of rows costs what it holds.
Shape aligned(const Shape& shape, Type cube) {
  Shape whole = shape;
  whole.gemm.N = round_up(shape.gemm.N, fractal_k(cube));
  whole.gemm.K = round_up(shape.gemm.K, fractal_k(cube));
  whole.gemm.M = 0;
  for (int64_t& rows : whole.rows) {
    if (rows > kFractalRows) rows = round_up(rows, kFractalRows);
    whole.gemm.M += rows;
  }
  return whole;
}

// Of those that pad to `whole`, one whose rows in memory end anywhere.
Shape ragged(const Shape& whole) {
  Shape shape = whole;
  --shape.gemm.N;
  --shape.gemm.K;
  return shape;
}

double steps_of(const GemmPlan& plan) {
  const auto real = [](int64_t value) { return static_cast<double>(value); };
  return real(tile_rows_of(plan.parts, plan.tiling.tile_m)) *
         real(plan.tiles_n()) * real(ceil_div(plan.gemm.K, plan.tiling.tile_k));
}

std::vector<GemmTiling> tilings_to_try(const Profile& profile,
                                       const Shape& whole,
                                       const SimulateOptions& options) {
  std::vector<GemmPlan> plans =
      promising_plans(profile, whole.gemm, whole.rows, options, kOfAligned);
  const GemmPlan& best = plans.front();
  if (best.kind.sum_k == 0) {
    const Shape other = ragged(whole);
    for (GemmPlan& plan :
         promising_plans(profile, other.gemm, other.rows, options, kOfRagged)) {
      plans.push_back(std::move(plan));
    }
  }
  // Row after row of tiles: where cores wait for each other's misses, an order
  // that the cost model does not tell from the best.
  for (size_t i = 0; options.tiling.swizzle == 0 && i < kInOrder; ++i) {
    if (i == plans.size()) break;
    plans.push_back(plans[i]);
    plans.back().tiling.swizzle = 1;
  }
  std::vector<GemmTiling> tilings;
  double steps = 0;
  for (const GemmPlan& plan : plans) {
    const bool is_known =
        std::find(tilings.begin(), tilings.end(), plan.tiling) != tilings.end();
    if (is_known) continue;
    steps += steps_of(plan);
    if (!tilings.empty() && steps > kMostSteps) break;
    tilings.push_back(plan.tiling);
  }
  return tilings;
}

}  // namespace

GemmPlan fastest_plan(const Profile& profile, const Gemm& gemm,
                      const std::vector<int64_t>& rows,
                      const SimulateOptions& options) {
  GemmPlan plan = plan_gemm(profile, gemm, rows, options);
  const Shape whole = aligned({gemm, rows}, plan.kind.cube);
  const std::vector<GemmTiling> tilings =
      tilings_to_try(profile, whole, options);
  if (tilings.size() == 1) {
    plan.tiling = tilings.front();
    return plan;
  }
  GemmTiling best;
  double least = std::numeric_limits<double>::infinity();
  for (const GemmTiling& tiling : tilings) {
    plan.tiling = tiling;
    const double cycles =
        run_stream(profile, lower_gemm(profile, plan), false).cycles;
    if (cycles < least) {
      least = cycles;
      best = tiling;
    }
  }
  plan.tiling = best;
  return plan;
}

}  // namespace tessera::npu
