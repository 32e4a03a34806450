// SPDX-License-Identifier: Apache-2.0
//
// The clock of a simulated device: how long each launch takes on the chip.

#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "backends/npu_sim/function/attention/attention.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

struct Counter {
  const char* name = "";
  uint64_t value = 0;
};

struct LaunchTime {
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
  uint64_t energy_nj = 0;  // the middle of the estimate
  std::array<Counter, 4> counters{};
};

// Any thread.  Simulations are kept by shape.
class Timing {
 public:
  Timing(const Profile& profile, int64_t cores, WeightLayout weights);

  // Advances the clock by one launch, its start included.
  LaunchTime run(Problem problem);

  // K that one sum of the product takes; K of the product if it is not split.
  int64_t k_share(const Gemm& gemm);

  // How the compiler cuts attention.
  AttentionTiling tiling(Attention attention) const;

  // What the analytic model says of one launch, without advancing the clock.
  Simulation guess(Problem problem) const;

 private:
  // What the device's options say of every launch.
  void apply_options(Problem& problem) const;

  Simulator simulator_;
  int64_t cores_;
  WeightLayout weights_;
  std::mutex mutex_;
  double now_ns_ = 0;
};

}  // namespace tessera::npu
