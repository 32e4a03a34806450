// SPDX-License-Identifier: Apache-2.0
//
// What a simulated chip is: every number the simulator uses about hardware lies
// in a Profile, comes from a YAML file, and keeps the note on where it was
// taken from.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::npu {

// Conventions: cycles are those of the chip's one clock, rates are bytes a
// cycle of one core, sizes are bytes, unless the name says otherwise.

struct CubeUnit {
  int64_t macs_f16 = 0;  // multiply-accumulates a cycle; bf16 is the same
  int64_t macs_s8 = 0;
  int64_t macs_s4 = 0;  // 0: no int4 in the cube
  int64_t macs_f8 = 0;  // 0: no fp8 in the cube
  bool bf16 = false;
  double issue_cycles = 0;    // from one MMAD to the next, besides its work
  double latency_cycles = 0;  // until the result of one may be read
};

struct LocalMemories {
  int64_t l0a_bytes = 0;
  int64_t l0b_bytes = 0;
  int64_t l0c_bytes = 0;
  int64_t l1_bytes = 0;
  int64_t ub_bytes = 0;
  double l1_to_l0a_rate = 0;
  double l1_to_l0b_rate = 0;
  double load2d_cycles = 0;  // overhead of a load of whole fractals
  double load3d_cycles = 0;  // the same of a load that rearranges
  int64_t ub_banks = 0;
  int64_t ub_bank_groups = 0;
};

struct GlobalMemory {
  int64_t l2_bytes = 0;
  double l2_read_rate = 0;
  double l2_write_rate = 0;
  double dram_core_rate = 0;   // of one core for what misses L2; 0: no such cap
  double dram_gbps = 0;        // peak, 1e9 bytes a second
  double dram_efficiency = 0;  // sustained share of it
  double read_latency_cycles = 0;  // from DRAM
  double write_latency_cycles = 0;
  double dma_issue_cycles = 0;  // least time between two transfers of a core
  double unaligned_factor = 0;  // rate of rows that start off 512 bytes
  int64_t dram_bytes = 0;
};

// How results leave the accumulators.
struct AccumulatorExit {
  bool fixpipe = false;         // else L0C -> UB on the vector pipe
  double fixpipe_elements = 0;  // a cycle
  double fixpipe_cycles = 0;    // overhead of an instruction
  double l0c_to_ub_rate = 0;
};

struct VectorUnit {
  double bytes_per_cycle = 0;   // add, mul, max: what one result takes
  double special_elements = 0;  // exp, ln, sqrt, div: elements a cycle
  double issue_cycles = 0;      // from one instruction to the next
  double latency_cycles = 0;
  double ub_to_gm_rate = 0;
};

// The engine of MTE2 that expands W8A8SC tiles on their way to L1.
struct UnzipUnit {
  int64_t engines = 0;  // 0: none
  int64_t max_ratio = 0;
};

struct Energy {
  std::string process;
  // Each low, mid, high.
  using Range = std::array<double, 3>;
  Range mac_f16_pj{};
  Range mac_s8_pj{};
  Range mac_s4_pj{};
  Range l0_pj_per_byte{};
  Range l1_pj_per_byte{};  // UB too
  Range l2_pj_per_byte{};
  Range dram_pj_per_byte{};
  Range vector_pj_per_element{};  // 16-bit
  Range unzip_pj_per_byte{};
  double board_watts = 0;
  double static_share = 0;
};

// What no source says.  Kept together so that a reader sees all of it, and can
// override it in a profile of their own.
struct Assumptions {
  double int8_derate = 1;        // sustained share of the int8 cube rate
  double launch_us = 0;          // host to first instruction, warm
  double l2_capacity_share = 1;  // of l2_bytes that holds data usefully
  double l2_core_factor = 1;     // sustained share of each core's L2 rates
  double l2_global_bytes_per_cycle = 0;  // of all cores together; 0: no cap
  double l2_latency_cycles = 0;          // of a read that hits
  double cross_core_cycles = 0;  // a flag between cube core and vector core
  double nd2nz_factor = 1;       // rate of ND -> NZ on the way to L1
  double unzip_rate = 0;         // output bytes a cycle of the unzip engines
  double dispatch_cycles = 0;    // scalar cycles for each instruction issued
};

// One value as the file gives it.
struct Parameter {
  std::string key;
  std::string value;
  std::string unit;
  std::string source;    // or "assumed: ..."
  bool assumed = false;  // source begins with "assumed"
};

struct Profile {
  std::string name;   // "910b1"
  std::string title;  // for people
  int64_t cube_cores = 0;
  int64_t vector_cores = 0;    // those that run vector work
  bool unified_cores = false;  // cube and vector pipes share a core
  double clock_mhz = 0;
  double vendor_tflops_f16 = 0;  // as sold, the vector unit included
  double vendor_tops_s8 = 0;
  CubeUnit cube;
  LocalMemories local;
  GlobalMemory global;
  AccumulatorExit exit;
  VectorUnit vector;
  UnzipUnit unzip;
  Energy energy;
  Assumptions assumptions;

  // Every parameter in the order of the table, with its note.
  std::vector<Parameter> parameters;

  double cycles_to_ns(double cycles) const { return cycles * 1e3 / clock_mhz; }
  // Sustained DRAM bytes a cycle of the whole chip.
  double dram_rate() const {
    return global.dram_gbps * global.dram_efficiency * 1e3 / clock_mhz;
  }
  // Tera-operations a second of all cubes at these MACs a cycle.
  double cube_tops(int64_t macs) const {
    return 2e-6 * static_cast<double>(macs * cube_cores) * clock_mhz;
  }
};

// The names of the profiles inside the library, sorted, and what else they
// answer to: 910b is 910b1, 310b is 310b1.
std::vector<std::string> builtin_profiles();

// The YAML of a shipped profile; empty if there is none of that name.
std::string_view builtin_profile_text(std::string_view name);

// The profile of that name, or in that file if it holds a '/' or ends in
// ".yaml".
//
// Errors  throws sdk::Error NOT_FOUND with the nearest name if there is no such
//         profile, or the file cannot be read; INVALID_ARGUMENT, naming the
//         file and the key, for a parameter that is missing, unknown (with the
//         nearest known one), without source, or outside its sane range
Profile load_profile(const std::string& name_or_path);

// The profile that `text` describes; `origin` names it in errors.  A profile
// with `based_on: NAME` takes what it does not set from that shipped profile.
Profile parse_profile(std::string_view text, const std::string& origin);

// A copy with some parameters set by key, as "global.dram_gbps".
//
// Errors  INVALID_ARGUMENT as parse_profile.
Profile with_parameters(Profile profile,
                        const std::map<std::string, double>& values);

}  // namespace tessera::npu
