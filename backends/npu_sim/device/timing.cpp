// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/timing.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"

namespace tessera::npu {

Timing::Timing(const Profile& profile, int64_t cores, WeightLayout weights)
    : simulator_(profile), cores_(cores), weights_(weights) {}

void Timing::apply_options(Problem& problem) const {
  const Profile& profile = simulator_.profile();
  const int64_t vector_cores =
      cores_ == 0 ? 0
                  : std::max<int64_t>(
                        1, cores_ * profile.vector_cores / profile.cube_cores);
  if (auto* gemm = std::get_if<Gemm>(&problem)) {
    gemm->cores = cores_;
    gemm->layout = weights_;
  } else if (auto* attention = std::get_if<Attention>(&problem)) {
    attention->cores = cores_;
  } else if (auto* small = std::get_if<SmallOp>(&problem)) {
    small->cores = vector_cores;
  } else if (auto* append = std::get_if<CacheAppend>(&problem)) {
    append->cores = vector_cores;
  }
}

LaunchTime Timing::run(Problem problem) {
  apply_options(problem);
  const std::lock_guard<std::mutex> lock(mutex_);
  const Simulation& simulation = simulator_.time(problem);
  LaunchTime time;
  time.begin_ns = static_cast<uint64_t>(now_ns_);
  now_ns_ += simulation.launch_ns + simulation.time_ns;
  time.end_ns = static_cast<uint64_t>(now_ns_);
  time.energy_nj = static_cast<uint64_t>(simulation.energy.joules[1] * 1e9);
  const auto& counters = simulation.counters;
  const auto whole = [](double value) { return static_cast<uint64_t>(value); };
  time.counters[0] = {"cycles", whole(simulation.cycles)};
  time.counters[1] = {"dram_bytes", whole(counters.dram_read_bytes +
                                          counters.dram_write_bytes)};
  time.counters[2] = {"l2_bytes",
                      whole(counters.l2_read_bytes + counters.l2_write_bytes)};
  time.counters[3] = {"cube_permille",
                      whole(1e3 * simulation.cube_utilisation)};
  return time;
}

int64_t Timing::k_share(const Gemm& gemm) {
  Problem problem = gemm;
  apply_options(problem);
  return split_share(gemm.K, simulator_.time(problem).tiling);
}

AttentionTiling Timing::tiling(Attention attention) const {
  Problem problem = std::move(attention);
  apply_options(problem);
  const AttentionPlan plan =
      plan_attention(simulator_.profile(), std::get<Attention>(problem));
  return {plan.tile_keys, plan.tile_rows, plan.num_splits};
}

Simulation Timing::guess(Problem problem) const {
  apply_options(problem);
  return simulator_.guess(problem);
}

}  // namespace tessera::npu
