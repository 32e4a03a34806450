// SPDX-License-Identifier: Apache-2.0
//
// Attention by formula: the slowest of cube, vector cores and loads, or the
// chain from a tile's scores to its values, as many tiles deep as scores run
// ahead.

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/attention/merge.hpp"
#include "backends/npu_sim/compiler/attention/pipeline_model.hpp"
#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr double kUbToL1Rate = 128;  // as costs.cpp

double real(int64_t value) { return static_cast<double>(value); }

// A product from L1: the cube's time and that of the loads.
struct ProductTimes {
  double cube = 0;
  double mte1 = 0;
};

ProductTimes product_times(const Profile& profile, Type type, int64_t m,
                           int64_t n, int64_t k) {
  const int64_t k0 = fractal_k(type);
  const int64_t fractals = std::max<int64_t>(
      1, std::min(profile.local.l0a_bytes / 2 / fractal_bytes(m, k0, type),
                  profile.local.l0b_bytes / 2 / fractal_bytes(n, k0, type)));
  const double steps = std::ceil(real(k) / real(fractals * k0));
  ProductTimes times;
  times.cube =
      mmad_cycles(profile, type, m, n, k) + steps * profile.cube.issue_cycles;
  times.mte1 =
      real(fractal_bytes(m, k, type)) / profile.local.l1_to_l0a_rate +
      real(fractal_bytes(n, k, type)) / profile.local.l1_to_l0b_rate +
      steps * (profile.local.load2d_cycles + profile.local.load3d_cycles);
  return times;
}

// Pipes that wait for each other now and then: more than the slowest needs, the
// more the closer the others come to it, and the more pieces a tile's values
// are handed over in.  The powers are those that come nearest the machine.
double together(const AttentionPlan& plan,
                std::initializer_list<double> times) {
  const double power = plan.num_value_tiles() == 1 ? 6 : 2;
  double sum = 0;
  for (const double time : times) sum += std::pow(time, power);
  return std::pow(sum, 1 / power);
}

struct TileCosts {
  double scores = 0;  // on the cube side
  double values = 0;
  double softmax = 0;  // on the vector side
  double update = 0;
  double widen = 0;
  double loads = 0;         // MTE2 of the cube side
  double vector_loads = 0;  // and of the vector side, if that is another
  double stores = 0;        // MTE3 of the vector side
  double fixpipe = 0;
  double chain = 0;  // from scores to weights in L1, latencies included
};

double passes_time(const Profile& profile, double elements, int64_t passes) {
  return real(passes) * (elements / (profile.vector.bytes_per_cycle / 4) +
                         profile.vector.issue_cycles);
}

// Bytes a cycle of one core from the cache in DRAM, all cores reading.
double miss_rate(const Profile& profile, double busy_cores) {
  const double own =
      profile.global.dram_core_rate > 0
          ? std::min(profile.global.dram_core_rate, profile.global.l2_read_rate)
          : profile.global.l2_read_rate;
  return std::min(own, profile.dram_rate() / busy_cores);
}

double l2_rate(const Profile& profile) {
  return profile.global.l2_read_rate * profile.assumptions.l2_core_factor;
}

// Bytes of which a share misses L2.
double read_cycles(const Profile& profile, double bytes, double misses,
                   double busy_cores) {
  return bytes * (misses / miss_rate(profile, busy_cores) +
                  (1 - misses) / l2_rate(profile));
}

// Of a tile, as stored.
struct CacheBytes {
  double keys = 0;
  double values = 0;
};

CacheBytes cache_bytes(const AttentionPlan& plan) {
  const double element =
      plan.widening == Widening::kAhead ? 1 : real(bits_of(plan.cube)) / 8;
  const double tile = real(plan.tile_keys) * element;
  const Attention& attention = plan.attention;
  return {tile * real(attention.qk_dim),
          attention.v_in_k ? 0 : tile * real(attention.v_dim)};
}

// Keys and values of one head are read again for each tile of its rows.
double share_of_misses(const AttentionPlan& plan) {
  return 1 / std::max(1.0, real(plan.attention.q_lens[0] * plan.group()) /
                               real(plan.tile_rows));
}

// The share of all keys that L2 has lost since integer attention read them for
// their maxima.
double share_lost(const Profile& profile, const AttentionPlan& plan) {
  double rows = 0;
  for (const int64_t length : plan.attention.seq_lens) rows += real(length);
  const double bytes =
      rows * real(plan.attention.num_kv_heads * plan.attention.qk_dim);
  return 1 - kept_share(bytes, real(profile.global.l2_bytes) *
                                   profile.assumptions.l2_capacity_share);
}

void add_cache_costs(const Profile& profile, const AttentionPlan& plan,
                     double busy_cores, TileCosts& costs) {
  const CacheBytes bytes = cache_bytes(plan);
  const double misses = share_of_misses(plan);
  // V that lies in K comes a second time.
  const double again = plan.attention.v_in_k
                           ? real(plan.tile_keys * plan.attention.v_dim) *
                                 real(bits_of(plan.cube)) / 8 / l2_rate(profile)
                           : 0;
  if (plan.widening != Widening::kAhead) {
    const double of_keys =
        plan.is_integer() ? misses * share_lost(profile, plan) : misses;
    costs.loads = again +
                  read_cycles(profile, bytes.keys, of_keys, busy_cores) +
                  read_cycles(profile, bytes.values, misses, busy_cores);
    return;
  }
  const double all = bytes.keys + bytes.values;
  const double lanes = real(plan.num_lanes);
  const double elements = all / lanes;
  costs.widen = elements / (profile.vector.bytes_per_cycle / 2) +
                passes_time(profile, elements, kWidenPasses - 1);
  const double read =
      read_cycles(profile, elements, misses, busy_cores * lanes);
  if (plan.is_unified) {
    costs.loads = read;
    costs.stores = 2 * all / kUbToL1Rate;
    return;
  }
  costs.vector_loads = read;
  costs.stores = 2 * elements / profile.vector.ub_to_gm_rate;
  costs.loads = again + 2 * all / l2_rate(profile);
}

void add_local_costs(const Profile& profile, double elements, double sums,
                     TileCosts& costs) {
  const double drain = 4 / profile.exit.l0c_to_ub_rate;
  costs.softmax += elements * drain + profile.vector.issue_cycles;
  costs.update += sums * drain + profile.vector.issue_cycles;
  costs.stores += elements * 2 / kUbToL1Rate;
  costs.chain = costs.softmax + elements * 2 / kUbToL1Rate +
                2 * profile.vector.latency_cycles;
}

// Cube and vector cores meet in GM.
void add_exchange_costs(const Profile& profile, const AttentionPlan& plan,
                        int64_t rows, double elements, TileCosts& costs) {
  const double hop = profile.assumptions.cross_core_cycles +
                     profile.global.write_latency_cycles +
                     profile.assumptions.l2_latency_cycles;
  const double l2 = l2_rate(profile);
  const double write =
      profile.global.l2_write_rate * profile.assumptions.l2_core_factor;
  const double scores = real(rows * plan.tile_keys) * 4 / write;
  const double sums = real(rows * plan.attention.v_dim) * 4 / write;
  const double weights =
      real(rows * plan.tile_keys) * real(bits_of(plan.cube)) / 8 / l2;
  costs.fixpipe = scores + sums;
  const double soft = costs.softmax;
  costs.softmax = std::max(soft, elements * 4 / l2);
  costs.vector_loads += elements * 4 / l2;
  costs.loads += weights;
  costs.chain = scores + 2 * hop + elements * 4 / l2 + soft +
                elements * 2 / profile.vector.ub_to_gm_rate + weights +
                profile.vector.latency_cycles + profile.cube.latency_cycles;
}

TileCosts tile_costs(const Profile& profile, const AttentionPlan& plan,
                     int64_t rows, double busy_cores) {
  const Attention& attention = plan.attention;
  const int64_t keys = plan.tile_keys;
  const double lane_rows = std::ceil(real(rows) / real(plan.num_lanes));
  const ProductTimes qk = product_times(profile, plan.cube, rows,
                                        plan.chunk_keys, attention.qk_dim);
  const ProductTimes pv =
      product_times(profile, plan.cube, rows,
                    std::min(plan.value_columns, attention.v_dim), keys);
  TileCosts costs;
  costs.scores = real(plan.num_chunks(keys)) * std::max(qk.cube, qk.mte1);
  costs.values = real(plan.num_value_tiles()) * std::max(pv.cube, pv.mte1);
  const double elements = lane_rows * real(keys);
  const double sums = lane_rows * real(attention.v_dim);
  const bool is_integer = plan.is_integer();
  costs.softmax = passes_time(profile, elements,
                              is_integer ? kCodePasses : kSoftmaxPasses) +
                  elements / profile.vector.special_elements +
                  profile.vector.issue_cycles;
  costs.update = passes_time(profile, sums, is_integer ? 1 : kUpdatePasses);
  add_cache_costs(profile, plan, busy_cores, costs);
  if (profile.unified_cores) {
    add_local_costs(profile, elements, sums, costs);
  } else {
    add_exchange_costs(profile, plan, rows, elements, costs);
  }
  return costs;
}

double tile_time(const AttentionPlan& plan, const TileCosts& costs) {
  const double cube = costs.scores + costs.values;
  const double chain = (cube + costs.chain) / real(plan.num_places());
  const double vector = costs.softmax + costs.update + costs.widen;
  if (plan.widening != Widening::kAhead) {
    return together(plan, {cube, vector, costs.loads, costs.fixpipe, chain});
  }
  return together(plan, {cube, vector, costs.loads, costs.vector_loads,
                         costs.stores, costs.fixpipe, chain});
}

// A tile of the first pass of integer attention.
double maximum_time(const Profile& profile, const AttentionPlan& plan,
                    int64_t rows, double busy_cores) {
  if (!plan.is_integer()) return 0;
  const ProductTimes qk = product_times(profile, plan.cube, rows,
                                        plan.chunk_keys, plan.attention.qk_dim);
  const double cube =
      real(plan.num_chunks(plan.tile_keys)) * std::max(qk.cube, qk.mte1);
  const double elements =
      std::ceil(real(rows) / real(plan.num_lanes)) * real(plan.tile_keys);
  const double drain =
      plan.is_unified ? elements * 4 / profile.exit.l0c_to_ub_rate : 0;
  const double loads = read_cycles(profile, cache_bytes(plan).keys,
                                   share_of_misses(plan), busy_cores);
  const double handed = plan.is_unified
                            ? 0
                            : real(rows * plan.tile_keys) * 4 /
                                  (profile.global.l2_write_rate *
                                   profile.assumptions.l2_core_factor);
  return together(plan,
                  {cube, drain + passes_time(profile, elements, kMaximumPasses),
                   loads, handed});
}

// Before the first tile, besides its own chain: a tile is widened, or all cores
// have found their maxima and met.
double lead_time(const Profile& profile, const AttentionPlan& plan,
                 const TileCosts& costs) {
  const double between = plan.is_unified
                             ? 0
                             : profile.assumptions.cross_core_cycles +
                                   profile.global.write_latency_cycles +
                                   profile.assumptions.l2_latency_cycles;
  if (plan.widening == Widening::kAhead) {
    return costs.widen + profile.global.read_latency_cycles + between;
  }
  if (!plan.is_integer()) return 0;
  return profile.global.read_latency_cycles + between + costs.scores +
         profile.global.write_latency_cycles +
         2 * profile.assumptions.l2_latency_cycles;
}

// Widening all of the cache, from DRAM to L2.
double widening_cycles(const Profile& profile, const AttentionPlan& plan) {
  if (plan.widening != Widening::kOnce) return 0;
  const Attention& attention = plan.attention;
  const double dims =
      real(attention.qk_dim + (attention.v_in_k ? 0 : attention.v_dim));
  double rows = 0;
  for (const int64_t length : attention.seq_lens) rows += real(length);
  const double lanes = real(plan.cores * plan.num_lanes);
  const double elements = rows * real(attention.num_kv_heads) * dims / lanes;
  const double compute = elements / (profile.vector.bytes_per_cycle / 2) +
                         passes_time(profile, elements, kWidenPasses - 1);
  return std::max({compute, read_cycles(profile, elements, 1, lanes),
                   2 * elements / profile.vector.ub_to_gm_rate}) +
         profile.global.read_latency_cycles +
         profile.global.write_latency_cycles;
}

double passes_cycles(const Profile& profile, const AttentionPlan& plan) {
  const int64_t lanes = plan.cores * (profile.unified_cores ? 1 : 2);
  double cycles = 0;
  for (const Pass& pass : attention_passes_before(profile, plan)) {
    cycles += pass_cycles(profile, pass, lanes);
  }
  return cycles + widening_cycles(profile, plan) + merge_cycles(profile, plan);
}

}  // namespace

double attention_cycles(const Profile& profile, const AttentionPlan& plan) {
  if (plan.is_plain()) return pipeline_cycles(profile, plan);
  double busy = 0;
  for (const auto& works : plan.work) busy += works.empty() ? 0 : 1;
  double latest = 0;
  TileCosts costs;
  int64_t rows = 0;
  for (const auto& works : plan.work) {
    double cycles = 0;
    for (const AttentionWork& work : works) {
      if (work.rows != rows) {
        rows = work.rows;
        costs = tile_costs(profile, plan, rows, busy);
      }
      // Works follow each other without a gap, so a short tile costs less.
      cycles +=
          (tile_time(plan, costs) + maximum_time(profile, plan, rows, busy)) *
          real(work.key_end - work.key_begin) / real(plan.tile_keys);
    }
    if (works.empty()) continue;
    // The first scores and the last values have nothing beside them.
    const double share =
        std::min(1.0, real(works[0].key_end - works[0].key_begin) /
                          real(plan.tile_keys));
    cycles +=
        profile.global.read_latency_cycles +
        profile.global.write_latency_cycles + lead_time(profile, plan, costs) +
        share *
            (costs.chain + costs.update + std::min(costs.scores, costs.loads));
    latest = std::max(latest, cycles);
  }
  return latest + passes_cycles(profile, plan);
}

}  // namespace tessera::npu
