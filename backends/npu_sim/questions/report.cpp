// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/questions/report.hpp"

#include <algorithm>
#include <string>
#include <variant>

namespace tessera::npu {
namespace {

using Json = nlohmann::ordered_json;

Json pipe_json(const PipeUse& use) {
  return {{"busy_cycles", use.busy_cycles}, {"utilisation", use.utilisation}};
}

Json pipes_json(const Simulation& simulation) {
  Json pipes = Json::object();
  for (int i = 0; i < kNumPipes; ++i) {
    const auto index = static_cast<size_t>(i);
    if (simulation.busy_cycles[index] <= 0) continue;
    pipes[name_of(static_cast<Pipe>(i))] = pipe_json(
        {simulation.busy_cycles[index], simulation.utilisation[index]});
  }
  if (simulation.vector_mte2.busy_cycles > 0) {
    pipes["vector_mte2"] = pipe_json(simulation.vector_mte2);
  }
  if (simulation.vector_scalar.busy_cycles > 0) {
    pipes["vector_scalar"] = pipe_json(simulation.vector_scalar);
  }
  return pipes;
}

Json bytes_json(const Simulation& simulation) {
  return {{"dram_read", simulation.counters.dram_read_bytes},
          {"dram_write", simulation.counters.dram_write_bytes},
          {"l2_read", simulation.counters.l2_read_bytes},
          {"l2_write", simulation.counters.l2_write_bytes},
          {"l1_read", simulation.counters.l1_read_bytes},
          {"l1_write", simulation.counters.l1_write_bytes},
          {"l0", simulation.counters.l0_bytes},
          {"ub", simulation.counters.ub_bytes()},
          {"unzip", simulation.counters.unzip_bytes}};
}

Json energy_json(const EnergyEstimate& energy) {
  return {{"low", energy.joules[0]},
          {"mid", energy.joules[1]},
          {"high", energy.joules[2]},
          {"static_mid", energy.static_joules[1]},
          {"note", "estimate"}};
}

Json tiling_json(const GemmTiling& tiling) {
  return {{"tile_m", tiling.tile_m},
          {"tile_n", tiling.tile_n},
          {"tile_k", tiling.tile_k},
          {"packet_k", tiling.packet_k},
          {"split_k", tiling.split_k},
          {"swizzle", tiling.swizzle},
          {"wide_n", tiling.wide_n},
          {"double_accumulator", tiling.double_accumulator}};
}

// Multiply-accumulates a cycle of one cube for the problem's type; 0 if it
// multiplies nothing.
int64_t macs_of(const Profile& profile, const Problem& problem) {
  if (const auto* attention = std::get_if<Attention>(&problem)) {
    return attention->kv == KvType::kFa3 ? profile.cube.macs_s8
                                         : profile.cube.macs_f16;
  }
  const Gemm* gemm = std::get_if<Gemm>(&problem);
  const auto* grouped = std::get_if<GroupedGemm>(&problem);
  if (grouped != nullptr) gemm = &grouped->each;
  if (gemm == nullptr) return 0;
  switch (gemm->scheme) {
    case Scheme::kW16A16:
    case Scheme::kBf16:
    case Scheme::kW8A16:
    case Scheme::kW4A16:
      return profile.cube.macs_f16;
    case Scheme::kW4A4:
      return profile.cube.macs_s4;
    case Scheme::kFp8:
      return profile.cube.macs_f8;
    default:
      return profile.cube.macs_s8;
  }
}

// The roofline's two sides: what DRAM cannot be spared, or what all cores'
// ports to L2 take, and the cube's peak.
struct Limits {
  double memory_ns = 0;
  double compute_ns = 0;
  double longer() const { return std::max(memory_ns, compute_ns); }
};

Limits limits_of(const Profile& profile, const Problem& problem) {
  Limits limits;
  const double dram_ns =
      least_dram_bytes(problem, static_cast<double>(profile.global.l2_bytes)) /
      (profile.global.dram_gbps * profile.global.dram_efficiency);
  const double ports =
      static_cast<double>(std::max(profile.cube_cores, profile.vector_cores));
  const double l2_ns = profile.cycles_to_ns(
      canonical_bytes_of(problem) / (ports * profile.global.l2_read_rate));
  limits.memory_ns = std::max(dram_ns, l2_ns);
  const int64_t macs = macs_of(profile, problem);
  if (macs > 0) {
    limits.compute_ns =
        operations_of(problem) / (profile.cube_tops(macs) * 1e3);
  }
  return limits;
}

}  // namespace

nlohmann::ordered_json report_json(const Profile& profile,
                                   const Problem& problem,
                                   const Simulation& simulation) {
  Json reply;
  reply["profile"] = profile.name;
  reply["clock"] = "simulated";
  reply["kernel"] = simulation.kernel;
  reply["cycles"] = simulation.cycles;
  reply["time_ns"] = simulation.time_ns;
  reply["launch_ns"] = simulation.launch_ns;
  reply["cores"] = simulation.cores;
  reply["instructions"] = simulation.counters.instructions;
  reply["operations"] = simulation.operations;
  reply["canonical_bytes"] = canonical_bytes_of(problem);
  reply["pipes"] = pipes_json(simulation);
  reply["bytes"] = bytes_json(simulation);
  reply["l2_hit_rate"] = simulation.l2_hit_rate;
  reply["cube_utilisation"] = simulation.cube_utilisation;
  reply["vendor_utilisation"] = simulation.vendor_utilisation;
  reply["energy"] = energy_json(simulation.energy);
  const bool is_product = std::holds_alternative<Gemm>(problem) ||
                          std::holds_alternative<GroupedGemm>(problem);
  if (is_product) reply["tiling"] = tiling_json(simulation.tiling);
  reply["estimate_ns"] = estimate(profile, problem).time_ns;
  const Limits limits = limits_of(profile, problem);
  reply["limit_ns"] = limits.longer();
  reply["trace_events_left_out"] = simulation.trace_events_left_out;
  reply["limit_kind"] =
      limits.memory_ns >= limits.compute_ns ? "memory" : "compute";
  return reply;
}

}  // namespace tessera::npu
