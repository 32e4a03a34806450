// SPDX-License-Identifier: Apache-2.0
//
// Attention by formula: the busiest core's pipes over a few tiles of a few
// works, and what each further one adds.

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/attention/merge.hpp"
#include "backends/npu_sim/compiler/attention/pipeline.hpp"
#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/attention/samples.hpp"
#include "backends/npu_sim/compiler/attention/work.hpp"
#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

double l2_room(const Profile& profile) {
  return real(profile.global.l2_bytes) * profile.assumptions.l2_capacity_share;
}

// Of the keys that works read, the share that comes from DRAM: once for all
// works of a head at a time, and once more for others if L2 has lost them.
double first_share(const Profile& profile, const AttentionPlan& plan,
                   const AttentionLoad& load, const CoreShare& share,
                   double busy) {
  // A core with one work has the heaviest.
  const double own =
      share.works <= 1 ? load.heaviest_share : load.own_keys / load.keys;
  const double bytes = plan.cache_bytes();
  const double room = l2_room(profile);
  if (bytes <= room) return own;
  const double heads = real(plan.attention.num_kv_heads) *
                       static_cast<double>(plan.attention.q_lens.size());
  const double works = load.works / heads;
  // Heads that are worked on at a time, and works of one of them.
  const double live = std::min(heads, std::ceil(busy / works));
  const double together = std::clamp(busy / live, 1.0, works);
  const double lost = std::max(0.0, 1 - room / (bytes / heads * live));
  const double later = works > 1 ? (works / together - 1) / (works - 1) : 0;
  return own + (1 - own) * lost * later;
}

// V that lies in K was read with it, some tiles before.
double lost_values(const Profile& profile, const AttentionPlan& plan,
                   double busy) {
  const double room = l2_room(profile);
  if (plan.cache_bytes() <= room) return 0;
  const double between = real((plan.preload + 1) * plan.tile_keys *
                              plan.attention.qk_dim * bits_of(plan.cube)) /
                         8 * busy;
  return 1 - std::exp(-between / room);
}

// Of the results, what L2 cannot keep: it holds what cube and vector cores
// exchange too.
double spilled_share(const Profile& profile, const AttentionPlan& plan) {
  const double v_dim = real(plan.attention.v_dim);
  const double results =
      real(plan.num_rows()) * v_dim * real(bits_of(plan.result_type())) / 8;
  const double exchanged =
      plan.is_unified
          ? 0
          : real(plan.cores * plan.num_places() * plan.tile_rows) *
                (v_dim * 4 +
                 real(plan.tile_keys) * (4 + real(bits_of(plan.cube)) / 8));
  const double room = real(profile.global.l2_bytes) * (1 - kCleanShare);
  return std::clamp((results + exchanged - room) / results, 0.0, 1.0);
}

// What L2 keeps was first read by the works that come first, by as many cores
// as share a head each a part of it: that part.
double first_level(const AttentionPlan& plan, double first, double busy) {
  const double heads = real(plan.attention.num_kv_heads) *
                       static_cast<double>(plan.attention.q_lens.size());
  return std::min(1.0, std::max(first, heads / busy));
}

// Whether each tile of the share is among the samples, or like one.
bool stands_for_all(const Samples& samples, const CoreShare& share) {
  return samples.done + 0.5 > share.tiles;
}

// The first `count` tiles are new to L2 by `fresh` times the mean.
void read_first(double count, double fresh, Samples& samples) {
  for (int64_t i = 0; i < samples.count; ++i) {
    Sample& one = samples.all.at(static_cast<size_t>(i));
    const double all = 1 + one.left_out;
    one.tile.fresh = std::min(1.0, count / all) * fresh;
    count = std::max(0.0, count - all);
  }
}

// Lets `step` follow each sample; returns what works without one add.  They
// cost what the works after the first do, while `lead` tiles are under way.
template <typename Step>
double follow(AttentionPipeline& pipeline, const Samples& samples,
              const CoreShare& share, int64_t lead, const Step& step) {
  const double left = std::max(0.0, share.tiles - samples.done);
  const int64_t to = std::max<int64_t>(1, samples.count - 1 - lead);
  const int64_t from =
      std::clamp<int64_t>(samples.first_work - 1 - lead, 0, to - 1);
  double half = 0;
  double begin = 0;
  double begin_tiles = 0;
  double each = 0;
  double tiles = 0;
  for (int64_t i = 0; i < samples.count; ++i) {
    const Sample& one = samples.all.at(static_cast<size_t>(i));
    step(i);
    if (one.begins) half = pipeline.end();
    if (one.left_out > 0) {
      pipeline.skip((pipeline.end() - half) / 2 * one.left_out);
    }
    tiles += 1 + one.left_out;
    if (i == from) {
      begin = pipeline.end();
      begin_tiles = tiles;
    }
    if (i == to) each = (pipeline.end() - begin) / (tiles - begin_tiles);
  }
  return left * each;
}

// Steps that make f16 of the whole cache, all vector cores at once.
double widen_once(const Profile& profile, const AttentionPlan& plan) {
  if (plan.widening != Widening::kOnce) return 0;
  const Attention& attention = plan.attention;
  const double lanes = real(plan.cores * plan.num_lanes);
  AttentionPipeline pipeline(profile, plan, {1, 1, lanes, 0});
  double tiles = 0;
  double keys = 0;
  for (const int64_t length : attention.seq_lens) {
    tiles += real(ceil_div(length, plan.tile_keys));
    keys += real(length);
  }
  const int64_t columns = plan.widened_columns();
  constexpr int64_t kColumnDims = 16;
  const double key_columns = real(ceil_div(attention.qk_dim, kColumnDims));
  const double value_columns =
      attention.v_in_k ? 0 : real(ceil_div(attention.v_dim, kColumnDims));
  const double steps = tiles * real(attention.num_kv_heads) *
                       (std::ceil(key_columns / real(columns)) +
                        std::ceil(value_columns / real(columns)));
  const double all_columns =
      tiles * real(attention.num_kv_heads) * (key_columns + value_columns);
  const auto mean_columns =
      std::max<int64_t>(1, std::llround(all_columns / steps));
  TileOfKeys mean;
  mean.keys = std::max<int64_t>(1, std::llround(keys / tiles));
  const double mine = std::ceil(steps / lanes);
  constexpr int64_t kMeasured = 6;
  constexpr int64_t kFollowed = 2 * kMeasured;
  double half = 0;
  for (int64_t i = 0; i < std::min<int64_t>(kFollowed, std::llround(mine));
       ++i) {
    pipeline.widen_step(mean, mean_columns, CachePart::kKeys);
    if (i + 1 == kMeasured) half = pipeline.end();
  }
  const double more = std::max(0.0, mine - kFollowed);
  pipeline.skip(more * (pipeline.end() - half) / kMeasured);
  pipeline.meet();
  return pipeline.end();
}

double passes_before(const Profile& profile, const AttentionPlan& plan) {
  double cycles = 0;
  for (const Pass& pass : attention_passes_before(profile, plan)) {
    cycles += pass_cycles(profile, pass, plan.cores * plan.num_lanes) +
              profile.assumptions.cross_core_cycles;
  }
  return cycles;
}

// Scores of all tiles for their maxima, then all cores meet.
double maxima_cycles(const Profile& profile, const AttentionPlan& plan,
                     const CacheTraffic& traffic, const Samples& samples,
                     const CoreShare& share) {
  if (!plan.is_integer()) return 0;
  AttentionPipeline pipeline(profile, plan, traffic);
  const double more = follow(pipeline, samples, share, 0, [&](int64_t i) {
    pipeline.maximum(samples.all.at(static_cast<size_t>(i)).tile);
  });
  pipeline.meet();
  return pipeline.end() + more;
}

// As the streams do: what runs ahead before what it runs ahead of.
class Order {
 public:
  Order(AttentionPipeline& pipeline, const AttentionPlan& plan,
        const Samples& samples)
      : pipeline_(pipeline), plan_(plan), samples_(samples) {}

  void begin() {
    for (int64_t j = -lead_of(plan_); j < 0; ++j) step(j);
  }
  void step(int64_t j) {
    const int64_t next = j + plan_.preload;
    widen(next + plan_.widen_ahead(), CachePart::kKeys);
    if (next >= 0 && next < samples_.count) pipeline_.ahead(tile(next));
    if (!plan_.attention.v_in_k) {
      widen(j + plan_.widen_ahead(), CachePart::kValues);
    }
    if (j >= 0) pipeline_.finish(tile(j));
  }

 private:
  void widen(int64_t index, CachePart part) {
    if (plan_.widening != Widening::kAhead) return;
    if (index < 0 || index >= samples_.count) return;
    pipeline_.widen(tile(index), part);
  }
  const TileOfKeys& tile(int64_t index) const {
    return samples_.all.at(static_cast<size_t>(index)).tile;
  }

  AttentionPipeline& pipeline_;
  const AttentionPlan& plan_;
  const Samples& samples_;
};

double work_cycles(const Profile& profile, const AttentionPlan& plan,
                   const CacheTraffic& traffic, const Samples& samples,
                   const CoreShare& share) {
  AttentionPipeline pipeline(profile, plan, traffic);
  Order order(pipeline, plan, samples);
  order.begin();
  const double more = follow(pipeline, samples, share, lead_of(plan),
                             [&](int64_t i) { order.step(i); });
  return pipeline.end() + more + profile.global.write_latency_cycles;
}

// Where keys are split, all cores meet before their sums are merged.
double split_cycles(const Profile& profile, const AttentionPlan& plan) {
  if (plan.num_splits == 1) return 0;
  return profile.assumptions.cross_core_cycles + merge_cycles(profile, plan);
}

// Tiles whose keys no core has read before.
struct FirstReads {
  double tiles = 0;
  double fresh = 1;  // of each, over the mean
};

FirstReads first_reads(const Profile& profile, const AttentionPlan& plan,
                       double first, double busy, const CoreShare& share) {
  const bool is_kept = plan.cache_bytes() <= l2_room(profile);
  const double level = is_kept ? first_level(plan, first, busy) : first;
  return {share.tiles * first / level, level / first};
}

// A cache that is widened on the way lets the cube wait for what misses L2.
// Where samples do not stand for all tiles, time is that of works that read
// first, and that of others.
double mixed_cycles(const Profile& profile, const AttentionPlan& plan,
                    const CacheTraffic& traffic, const FirstReads& reads,
                    const CoreShare& share) {
  Samples samples = sample_tiles(plan, share);
  const double part = reads.tiles / share.tiles;
  read_first(share.tiles, reads.fresh, samples);
  const double first = work_cycles(profile, plan, traffic, samples, share);
  read_first(0, 0, samples);
  const double later = work_cycles(profile, plan, traffic, samples, share);
  return part * first + (1 - part) * later;
}

// Of one core, from the first work to the last.
double share_cycles(const Profile& profile, const AttentionPlan& plan,
                    const CoreShare& share) {
  Samples samples = sample_tiles(plan, share);
  // Cores at work at a time, in the mean.
  const double busy =
      std::clamp(plan.load.tiles / share.tiles, 1.0, real(plan.cores));
  const double first = first_share(profile, plan, plan.load, share, busy);
  const FirstReads reads = first_reads(profile, plan, first, busy, share);
  const bool is_whole = stands_for_all(samples, share);
  if (is_whole) read_first(reads.tiles, reads.fresh, samples);
  CacheTraffic traffic{
      first,
      plan.attention.v_in_k ? lost_values(profile, plan, busy) * first : first,
      busy, spilled_share(profile, plan)};
  const double maxima = maxima_cycles(profile, plan, traffic, samples, share);
  if (plan.is_integer()) {
    traffic.first_keys *= 1 - kept_share(plan.cache_bytes(), l2_room(profile));
  }
  if (plan.widening == Widening::kOnce) {
    const double kept = real(profile.global.l2_bytes);
    const double lost = std::max(0.0, 1 - kept / plan.cache_bytes());
    traffic.first_keys = traffic.first_values = lost;
  }
  if (plan.widening == Widening::kAhead) {
    // Vector cores read the cache.
    traffic.cores *= plan.is_unified ? 1 : real(plan.num_lanes);
    if (!is_whole) return mixed_cycles(profile, plan, traffic, reads, share);
  }
  return maxima + work_cycles(profile, plan, traffic, samples, share);
}

}  // namespace

double attention_cycles(const Profile& profile, const AttentionPlan& plan) {
  const BusiestCores busiest = busiest_cores(plan);
  double longest = 0;
  for (size_t i = 0; i < busiest.count; ++i) {
    longest =
        std::max(longest, share_cycles(profile, plan, busiest.shares.at(i)));
  }
  return passes_before(profile, plan) + widen_once(profile, plan) + longest +
         split_cycles(profile, plan);
}

}  // namespace tessera::npu
