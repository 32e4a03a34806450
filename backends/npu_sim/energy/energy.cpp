// SPDX-License-Identifier: Apache-2.0
//
// Counts times picojoules, and the static share of the board over time.

#include "backends/npu_sim/energy/energy.hpp"

namespace tessera::npu {

EnergyEstimate energy_of(const Profile& profile, const Counters& counters,
                         double time_ns) {
  const Energy& table = profile.energy;
  EnergyEstimate estimate;
  for (size_t i = 0; i < estimate.joules.size(); ++i) {
    const double picojoules =
        // No table has fp8: as f16, which it is not beyond.
        (counters.macs_f16 + counters.macs_f8) * table.mac_f16_pj[i] +
        counters.macs_s8 * table.mac_s8_pj[i] +
        counters.macs_s4 * table.mac_s4_pj[i] +
        counters.l0_bytes * table.l0_pj_per_byte[i] +
        (counters.l1_read_bytes + counters.l1_write_bytes +
         counters.ub_bytes()) *
            table.l1_pj_per_byte[i] +
        (counters.l2_read_bytes + counters.l2_write_bytes) *
            table.l2_pj_per_byte[i] +
        (counters.dram_read_bytes + counters.dram_write_bytes) *
            table.dram_pj_per_byte[i] +
        counters.vector_elements * table.vector_pj_per_element[i] +
        counters.unzip_bytes * table.unzip_pj_per_byte[i];
    estimate.static_joules[i] =
        table.board_watts * table.static_share * time_ns * 1e-9;
    estimate.joules[i] = picojoules * 1e-12 + estimate.static_joules[i];
  }
  return estimate;
}

}  // namespace tessera::npu
