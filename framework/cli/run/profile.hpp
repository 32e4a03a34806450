// SPDX-License-Identifier: Apache-2.0
//
// Where the time of a run went: kernel by kernel, and on the host.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/cli/json_output.hpp"
#include "tessera/plugin.h"

namespace tessera::cli {

// All calls of one kernel.
struct KernelTotal {
  std::string kernel;
  uint32_t clock = TSR_CLOCK_WALL;
  uint64_t calls = 0;
  uint64_t total_ns = 0;
  double share = 0.0;  // of all kernels on the same clock
};

// Largest total first.
std::vector<KernelTotal> sum_kernels(
    std::span<const tsr_kernel_record> records);

std::string kernels_text(const std::vector<KernelTotal>& totals);
Json kernels_json(const std::vector<KernelTotal>& totals);

// What the host itself may take per decode step with that many programs.
uint64_t host_budget_ns(uint32_t num_programs);

}  // namespace tessera::cli
