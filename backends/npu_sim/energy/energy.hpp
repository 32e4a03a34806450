// SPDX-License-Identifier: Apache-2.0
//
// Energy from counted events and a table: an estimate, never a measurement.

#pragma once

#include <array>

#include "backends/npu_sim/machine/machine.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

struct EnergyEstimate {
  // Joules: low, mid, high.
  std::array<double, 3> joules{};
  std::array<double, 3> static_joules{};  // the part that time alone costs
};

EnergyEstimate energy_of(const Profile& profile, const Counters& counters,
                         double time_ns);

}  // namespace tessera::npu
