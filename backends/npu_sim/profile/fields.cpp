// SPDX-License-Identifier: Apache-2.0
//
// One row for each parameter that a profile file must give.

#include "backends/npu_sim/profile/fields.hpp"

namespace tessera::npu {
namespace {

#define TSR_FIELD(key, unit, min, max, member)                    \
  {                                                               \
    key, unit, min, max,                                          \
        [](Profile& profile) -> Place { return &profile.member; } \
  }

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kGiB = 1024.0 * kMiB;

// clang-format off
constexpr Field kFields[] = {
    TSR_FIELD("cube_cores", "", 1, 1024, cube_cores),
    TSR_FIELD("vector_cores", "", 1, 2048, vector_cores),
    TSR_FIELD("unified_cores", "bool", 0, 1, unified_cores),
    TSR_FIELD("clock_mhz", "MHz", 50, 10000, clock_mhz),
    TSR_FIELD("vendor_tflops_f16", "TFLOPS", 0.1, 1e5, vendor_tflops_f16),
    TSR_FIELD("vendor_tops_s8", "TOPS", 0.1, 1e5, vendor_tops_s8),
    TSR_FIELD("cube.macs_f16", "MAC/cycle", 16, 1 << 20, cube.macs_f16),
    TSR_FIELD("cube.macs_s8", "MAC/cycle", 16, 1 << 20, cube.macs_s8),
    TSR_FIELD("cube.macs_s4", "MAC/cycle", 0, 1 << 20, cube.macs_s4),
    TSR_FIELD("cube.macs_f8", "MAC/cycle", 0, 1 << 20, cube.macs_f8),
    TSR_FIELD("cube.bf16", "bool", 0, 1, cube.bf16),
    TSR_FIELD("cube.issue_cycles", "cycles", 0, 10000, cube.issue_cycles),
    TSR_FIELD("cube.latency_cycles", "cycles", 0, 10000, cube.latency_cycles),
    TSR_FIELD("local.l0a_bytes", "bytes", 4096, 64 * kMiB, local.l0a_bytes),
    TSR_FIELD("local.l0b_bytes", "bytes", 4096, 64 * kMiB, local.l0b_bytes),
    TSR_FIELD("local.l0c_bytes", "bytes", 4096, 64 * kMiB, local.l0c_bytes),
    TSR_FIELD("local.l1_bytes", "bytes", 65536, 256 * kMiB, local.l1_bytes),
    TSR_FIELD("local.ub_bytes", "bytes", 16384, 64 * kMiB, local.ub_bytes),
    TSR_FIELD("local.l1_to_l0a_rate", "bytes/cycle", 1, 65536, local.l1_to_l0a_rate),
    TSR_FIELD("local.l1_to_l0b_rate", "bytes/cycle", 1, 65536, local.l1_to_l0b_rate),
    TSR_FIELD("local.load2d_cycles", "cycles", 0, 10000, local.load2d_cycles),
    TSR_FIELD("local.load3d_cycles", "cycles", 0, 10000, local.load3d_cycles),
    TSR_FIELD("local.ub_banks", "", 1, 4096, local.ub_banks),
    TSR_FIELD("local.ub_bank_groups", "", 1, 4096, local.ub_bank_groups),
    TSR_FIELD("global.l2_bytes", "bytes", 65536, 64 * kGiB, global.l2_bytes),
    TSR_FIELD("global.l2_read_rate", "bytes/cycle/core", 1, 65536, global.l2_read_rate),
    TSR_FIELD("global.l2_write_rate", "bytes/cycle/core", 1, 65536, global.l2_write_rate),
    TSR_FIELD("global.dram_core_rate", "bytes/cycle/core", 0, 65536, global.dram_core_rate),
    TSR_FIELD("global.dram_gbps", "GB/s", 0.1, 1e6, global.dram_gbps),
    TSR_FIELD("global.dram_efficiency", "", 0.05, 1, global.dram_efficiency),
    TSR_FIELD("global.read_latency_cycles", "cycles", 0, 1e6, global.read_latency_cycles),
    TSR_FIELD("global.write_latency_cycles", "cycles", 0, 1e6, global.write_latency_cycles),
    TSR_FIELD("global.dma_issue_cycles", "cycles", 0, 10000, global.dma_issue_cycles),
    TSR_FIELD("global.unaligned_factor", "", 0.05, 1, global.unaligned_factor),
    TSR_FIELD("global.dram_bytes", "bytes", kMiB, 64 * 1024 * kGiB, global.dram_bytes),
    TSR_FIELD("exit.fixpipe", "bool", 0, 1, exit.fixpipe),
    TSR_FIELD("exit.fixpipe_elements", "elements/cycle", 0, 65536, exit.fixpipe_elements),
    TSR_FIELD("exit.fixpipe_cycles", "cycles", 0, 10000, exit.fixpipe_cycles),
    TSR_FIELD("exit.l0c_to_ub_rate", "bytes/cycle", 0, 65536, exit.l0c_to_ub_rate),
    TSR_FIELD("vector.bytes_per_cycle", "bytes/cycle", 16, 65536, vector.bytes_per_cycle),
    TSR_FIELD("vector.special_elements", "elements/cycle", 1, 65536, vector.special_elements),
    TSR_FIELD("vector.issue_cycles", "cycles", 0, 10000, vector.issue_cycles),
    TSR_FIELD("vector.latency_cycles", "cycles", 0, 10000, vector.latency_cycles),
    TSR_FIELD("vector.ub_to_gm_rate", "bytes/cycle", 1, 65536, vector.ub_to_gm_rate),
    TSR_FIELD("unzip.engines", "", 0, 1024, unzip.engines),
    TSR_FIELD("unzip.max_ratio", "", 0, 65536, unzip.max_ratio),
    TSR_FIELD("energy.mac_f16_pj", "pJ", 0, 1000, energy.mac_f16_pj),
    TSR_FIELD("energy.mac_s8_pj", "pJ", 0, 1000, energy.mac_s8_pj),
    TSR_FIELD("energy.mac_s4_pj", "pJ", 0, 1000, energy.mac_s4_pj),
    TSR_FIELD("energy.l0_pj_per_byte", "pJ/byte", 0, 10000, energy.l0_pj_per_byte),
    TSR_FIELD("energy.l1_pj_per_byte", "pJ/byte", 0, 10000, energy.l1_pj_per_byte),
    TSR_FIELD("energy.l2_pj_per_byte", "pJ/byte", 0, 10000, energy.l2_pj_per_byte),
    TSR_FIELD("energy.dram_pj_per_byte", "pJ/byte", 0, 10000, energy.dram_pj_per_byte),
    TSR_FIELD("energy.vector_pj_per_element", "pJ", 0, 10000, energy.vector_pj_per_element),
    TSR_FIELD("energy.unzip_pj_per_byte", "pJ/byte", 0, 10000, energy.unzip_pj_per_byte),
    TSR_FIELD("energy.board_watts", "W", 0.1, 1e5, energy.board_watts),
    TSR_FIELD("energy.static_share", "", 0, 1, energy.static_share),
    TSR_FIELD("assumptions.int8_derate", "", 0.05, 1, assumptions.int8_derate),
    TSR_FIELD("assumptions.launch_us", "us", 0, 1e4, assumptions.launch_us),
    TSR_FIELD("assumptions.l2_capacity_share", "", 0.01, 1, assumptions.l2_capacity_share),
    TSR_FIELD("assumptions.l2_core_factor", "", 0.05, 1, assumptions.l2_core_factor),
    TSR_FIELD("assumptions.l2_global_bytes_per_cycle", "bytes/cycle", 0, 1e6, assumptions.l2_global_bytes_per_cycle),
    TSR_FIELD("assumptions.l2_latency_cycles", "cycles", 0, 1e5, assumptions.l2_latency_cycles),
    TSR_FIELD("assumptions.cross_core_cycles", "cycles", 0, 1e5, assumptions.cross_core_cycles),
    TSR_FIELD("assumptions.nd2nz_factor", "", 0.05, 1, assumptions.nd2nz_factor),
    TSR_FIELD("assumptions.unzip_rate", "bytes/cycle", 0, 65536, assumptions.unzip_rate),
    TSR_FIELD("assumptions.dispatch_cycles", "cycles", 0, 1000, assumptions.dispatch_cycles),
};
// clang-format on

#undef TSR_FIELD

}  // namespace

std::span<const Field> profile_fields() { return kFields; }

}  // namespace tessera::npu
