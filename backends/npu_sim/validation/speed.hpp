// SPDX-License-Identifier: Apache-2.0
//
// How long the simulator itself takes, on the machine that it runs on.

#pragma once

#include <string>
#include <vector>

namespace tessera::npu {

struct SpeedFigures {
  std::string profile;
  double estimate_us = 0;  // mean, of shapes not asked before
  double estimate_median_us = 0;
  double remembered_us = 0;  // of the same shapes again
  double step_s = 0;         // Qwen3-8B, decode, 36 layers, planned and timed
  double step_ms = 0;        // what the step takes on the chip
  double gemm_s = 0;         // 8192 cubed, f16, all cores of the chip
};

// Processor time of one thread, so that other processes matter little.
std::vector<SpeedFigures> measure_speed(
    const std::vector<std::string>& profiles);

}  // namespace tessera::npu
