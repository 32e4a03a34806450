// SPDX-License-Identifier: Apache-2.0
//
// Problem -> plan -> stream -> machine -> figures.

#include "backends/npu_sim/simulation/simulate.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <utility>

#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/copy_lowering.hpp"
#include "backends/npu_sim/compiler/gemm/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/model.hpp"
#include "backends/npu_sim/compiler/rows/cache_append.hpp"
#include "backends/npu_sim/compiler/vector_lowering.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/simulation/packet_depth.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

// How plans are chosen: plan_gemm, or with trials fastest_depth.
using Planner = GemmPlan (*)(const Profile&, const Gemm&,
                             const std::vector<int64_t>& rows,
                             const SimulateOptions&);

GemmPlan plan_of(const Profile& profile, const Gemm& gemm,
                 const SimulateOptions& options, Planner planner) {
  return planner(profile, gemm, {gemm.M}, options);
}

GemmPlan plan_of(const Profile& profile, const GroupedGemm& grouped,
                 const SimulateOptions& options, Planner planner) {
  constexpr int64_t kMostGroups = 4096;
  constexpr int64_t kMostRows = int64_t{1} << 32;
  Gemm gemm = grouped.each;
  gemm.M = 0;
  for (const int64_t rows : grouped.rows) {
    if (rows < 0 || rows > kMostRows) {
      throw sdk::Error(TSR_INVALID_ARGUMENT, "grouped gemm: a group of " +
                                                 std::to_string(rows) +
                                                 " rows is outside 0 to 2^32");
    }
    gemm.M += rows;
  }
  if (static_cast<int64_t>(grouped.rows.size()) > kMostGroups) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "grouped gemm: " + std::to_string(grouped.rows.size()) +
                         " groups of at most 4096");
  }
  return planner(profile, gemm, grouped.rows, options);
}

std::string shape_name(const GemmPlan& plan) {
  const GemmTiling& tiling = plan.tiling;
  std::string name = "gemm_" + std::string(name_of(plan.kind.cube)) + "_" +
                     std::to_string(tiling.tile_m) + "x" +
                     std::to_string(tiling.tile_n) + "x" +
                     std::to_string(tiling.tile_k) + "_packet" +
                     std::to_string(tiling.packet_k);
  if (tiling.split_k > 1) name += "_split" + std::to_string(tiling.split_k);
  if (tiling.swizzle > 1) name += "_swizzle" + std::to_string(tiling.swizzle);
  if (tiling.wide_n > 0) name += "_wide" + std::to_string(tiling.wide_n);
  return name;
}

std::string shape_name(const AttentionPlan& plan) {
  return "attention_" + std::string(name_of(plan.cube)) + "_" +
         std::to_string(plan.tile_rows) + "x" + std::to_string(plan.tile_keys) +
         (plan.num_splits > 1 ? "_split" + std::to_string(plan.num_splits)
                              : "");
}

// Sections of a stream are made as they run, so no size would stop it.
void check_memory(const Profile& profile, const Problem& problem) {
  const auto* copy = std::get_if<Copy>(&problem);
  const auto passes = static_cast<double>(copy == nullptr ? 1 : copy->repeats);
  const double bytes = canonical_bytes_of(problem) / passes;
  const auto held = static_cast<double>(profile.global.dram_bytes);
  if (bytes <= held) return;
  constexpr double kGigabyte = 1e9;
  std::array<char, 64> sizes{};
  std::snprintf(sizes.data(), sizes.size(), ": %.1f GB, of which %s holds %.1f",
                bytes / kGigabyte, profile.name.c_str(), held / kGigabyte);
  const std::string key = key_of(problem);
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   key.substr(0, key.find(' ')) + sizes.data());
}

// A problem made ready to run.
struct Launch {
  Stream stream;
  GemmTiling tiling;
  std::string kernel;
};

Launch launch_gemm(const Profile& profile, const GemmPlan& plan) {
  return {lower_gemm(profile, plan), plan.tiling, shape_name(plan)};
}

struct Lower {
  const Profile& profile;
  const SimulateOptions& options;

  Launch operator()(const Gemm& gemm) const {
    return launch_gemm(profile, plan_of(profile, gemm, options, fastest_depth));
  }
  Launch operator()(const GroupedGemm& grouped) const {
    return launch_gemm(profile,
                       plan_of(profile, grouped, options, fastest_depth));
  }
  Launch operator()(const VectorOp& op) const {
    return {lower_vector(profile, plan_vector(profile, op)), {}, "vector"};
  }
  Launch operator()(const SmallOp& op) const {
    return {lower_vector(profile, plan_small(profile, op)), {}, "vector"};
  }
  Launch operator()(const CacheAppend& op) const {
    return {lower_cache_append(profile, op), {}, "kv_append"};
  }
  Launch operator()(const Copy& copy) const {
    return {lower_copy(profile, copy), {}, "copy"};
  }
  Launch operator()(const Attention& attention) const {
    const AttentionPlan plan = plan_attention(profile, attention);
    return {lower_attention(profile, plan), {}, shape_name(plan)};
  }
};

// The type whose peak the cube is measured against.
struct CubeType {
  Type type = Type::kF16;
  bool is_used = true;
};

CubeType cube_type(const Profile& profile, const Problem& problem) {
  if (const auto* gemm = std::get_if<Gemm>(&problem)) {
    return {kind_of(profile, *gemm).cube};
  }
  if (const auto* grouped = std::get_if<GroupedGemm>(&problem)) {
    Gemm one = grouped->each;
    one.M = 1;
    return {kind_of(profile, one).cube};
  }
  if (const auto* attention = std::get_if<Attention>(&problem)) {
    return {attention->kv == KvType::kFa3 ? Type::kS8 : Type::kF16};
  }
  return {Type::kF16, false};
}

void fill_rates(const Profile& profile, const Problem& problem,
                Simulation& result) {
  result.time_ns = profile.cycles_to_ns(result.cycles);
  result.launch_ns = profile.assumptions.launch_us * 1e3;
  result.operations = operations_of(problem);
  const CubeType cube = cube_type(profile, problem);
  if (cube.is_used && result.time_ns > 0) {
    const double tops = result.operations / result.time_ns * 1e-3;
    result.cube_utilisation =
        tops / profile.cube_tops(cube_macs(profile, cube.type));
    const bool is_narrow = bits_of(cube.type) < 16;
    result.vendor_utilisation =
        tops / (is_narrow ? profile.vendor_tops_s8 : profile.vendor_tflops_f16);
  }
}

void fill_pipes(const Stream& stream, Simulation& result) {
  if (result.cycles == 0) return;
  double cubes = 0;
  double vectors = 0;  // cores without a cube
  for (const Stream::Core& core : stream.cores) {
    (core.has_cube ? cubes : vectors) += 1;
  }
  const Counters& counters = result.counters;
  for (size_t pipe = 0; pipe < kNumPipes; ++pipe) {
    const double on_cubes =
        cubes > 0 ? counters.busy_cycles.at(pipe) / cubes : 0;
    const double on_vectors =
        vectors > 0 ? counters.vector_core_busy_cycles.at(pipe) / vectors : 0;
    PipeUse* of_vectors = nullptr;
    if (cubes > 0 && pipe == static_cast<size_t>(Pipe::kMte2)) {
      of_vectors = &result.vector_mte2;
    } else if (cubes > 0 && pipe == static_cast<size_t>(Pipe::kScalar)) {
      of_vectors = &result.vector_scalar;
    }
    if (of_vectors != nullptr) {
      *of_vectors = {on_vectors, on_vectors / result.cycles};
    }
    // No other pipe is in both kinds of core.
    result.busy_cycles.at(pipe) =
        on_cubes + (of_vectors != nullptr ? 0 : on_vectors);
    result.utilisation.at(pipe) = result.busy_cycles.at(pipe) / result.cycles;
  }
}

// Of several tilings that promise alike the machine runs the fastest: in the
// mean over random products it takes that share of what the best is to take.
constexpr double kFastestShare = 0.97;

double Counters::*macs_counter(Type type) {
  switch (type) {
    case Type::kS8:
      return &Counters::macs_s8;
    case Type::kS4:
      return &Counters::macs_s4;
    case Type::kF8:
      return &Counters::macs_f8;
    default:
      return &Counters::macs_f16;
  }
}

struct Estimate {
  const Profile& profile;

  Simulation of_gemm(const GemmPlan& plan) const {
    const GemmCost cost = cost_of_plan(profile, plan);
    Simulation result;
    result.cycles = kFastestShare * cost.cycles;
    result.tiling = plan.tiling;
    result.cores = plan.cores;
    result.counters.dram_read_bytes = cost.dram_read_bytes;
    result.counters.l2_read_bytes = cost.l2_read_bytes;
    result.busy_cycles.at(static_cast<size_t>(Pipe::kCube)) = cost.cube_cycles;
    result.busy_cycles.at(static_cast<size_t>(Pipe::kMte1)) = cost.mte1_cycles;
    result.busy_cycles.at(static_cast<size_t>(Pipe::kMte2)) = cost.mte2_cycles;
    result.busy_cycles.at(static_cast<size_t>(Pipe::kFixpipe)) =
        cost.fixpipe_cycles;
    return result;
  }
  Simulation of_pass(const VectorPlan& plan) const {
    Simulation result;
    result.cycles = vector_cycles(profile, plan);
    result.cores = plan.lanes;
    return result;
  }
  Simulation operator()(const Gemm& gemm) const {
    return of_gemm(plan_of(profile, gemm, {}, plan_gemm));
  }
  Simulation operator()(const GroupedGemm& grouped) const {
    return of_gemm(plan_of(profile, grouped, {}, plan_gemm));
  }
  Simulation operator()(const VectorOp& op) const {
    return of_pass(plan_vector(profile, op));
  }
  Simulation operator()(const SmallOp& op) const {
    return of_pass(plan_small(profile, op));
  }
  Simulation operator()(const CacheAppend& op) const {
    Simulation result;
    result.cores = append_lanes(profile, op);
    result.cycles = cache_append_cycles(profile, op, result.cores);
    return result;
  }
  Simulation operator()(const Copy& copy) const {
    Simulation result;
    result.cycles = copy_cycles(profile, copy);
    return result;
  }
  Simulation operator()(const Attention& attention) const {
    const AttentionPlan plan = shape_attention(profile, attention);
    Simulation result;
    result.cycles = attention_cycles(profile, plan);
    result.cores = plan.cores;
    return result;
  }
};

}  // namespace

Stream compile(const Profile& profile, const Problem& problem,
               const SimulateOptions& options) {
  Stream stream = std::visit(Lower{profile, options}, problem).stream;
  stream.label = key_of(problem);
  return stream;
}

Simulation simulate(const Profile& profile, const Problem& problem,
                    const SimulateOptions& options) {
  check_memory(profile, problem);
  Launch launch = std::visit(Lower{profile, options}, problem);
  launch.stream.label = key_of(problem);
  MachineRun run = run_stream(profile, launch.stream, options.trace);
  Simulation result;
  result.cycles = run.cycles;
  result.cores = run.cores_used;
  result.vector_cores = run.vector_cores_used;
  result.counters = run.counters;
  result.tiling = launch.tiling;
  result.kernel = std::move(launch.kernel);
  result.trace = std::move(run.trace);
  result.trace_events_left_out = run.trace_events_left_out;
  if (run.counters.l2_read_bytes > 0) {
    result.l2_hit_rate = run.counters.l2_hit_bytes / run.counters.l2_read_bytes;
  }
  fill_rates(profile, problem, result);
  fill_pipes(launch.stream, result);
  result.energy = energy_of(profile, result.counters, result.time_ns);
  return result;
}

Simulation estimate(const Profile& profile, const Problem& problem) {
  Simulation result = std::visit(Estimate{profile}, problem);
  fill_rates(profile, problem, result);
  // Bytes and operations without padding: the table's figures, not a run's.
  result.counters.dram_read_bytes =
      std::max(result.counters.dram_read_bytes, canonical_bytes_of(problem));
  const CubeType cube = cube_type(profile, problem);
  const double macs = cube.is_used ? result.operations / 2 : 0;
  result.counters.*macs_counter(cube.type) = macs;
  result.energy = energy_of(profile, result.counters, result.time_ns);
  return result;
}

}  // namespace tessera::npu
