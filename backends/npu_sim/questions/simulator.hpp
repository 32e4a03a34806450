// SPDX-License-Identifier: Apache-2.0
//
// The extension dev.tessera.simulator: JSON in, JSON out.

#pragma once

#include <string>

#include "backends/npu_sim/function/fixpipe.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/simulator.h"

namespace tessera::npu {

tsr_simulator make_simulator_node();

// Answers one request; see tessera/simulator.h.
//
// Errors   throws sdk::Error INVALID_ARGUMENT, naming the key, for a request
//          that is malformed; what simulate() throws
std::string simulate_request(const Profile& profile, Numerics numerics,
                             const std::string& request);

}  // namespace tessera::npu
