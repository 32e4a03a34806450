// SPDX-License-Identifier: Apache-2.0
//
// A simulated launch as JSON, with the keys of tessera/simulator.h.

#pragma once

#include <nlohmann/json.hpp>

#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

// `simulation` is what became of `problem` on that chip.
nlohmann::ordered_json report_json(const Profile& profile,
                                   const Problem& problem,
                                   const Simulation& simulation);

}  // namespace tessera::npu
