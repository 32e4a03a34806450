// SPDX-License-Identifier: Apache-2.0
//
// Attention by formula: the busiest core's pipes over a few tiles of a few
// works, and what each further one adds.

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/attention/merge.hpp"
#include "backends/npu_sim/compiler/attention/pipeline.hpp"
#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/attention/work.hpp"
#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kMostSamples = 16;
constexpr int64_t kMostOfWork = 16;

// How far the first to be started is ahead of the last to be finished.
int64_t lead_of(const AttentionPlan& plan) {
  return plan.preload +
         (plan.widening == Widening::kAhead ? plan.widen_ahead() : 0);
}

// Of a work, tiles are followed one by one until each adds the same: what two
// of them add is what those left out do.
int64_t measured_from(const AttentionPlan& plan) {
  return std::max<int64_t>(1, lead_of(plan) - 1);
}
int64_t measured_to(const AttentionPlan& plan) {
  return measured_from(plan) + 2;
}

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

// Tiles of a core that stand for all: some of each of some works.
struct Sample {
  TileOfKeys tile;
  double left_out = 0;  // tiles after it, of the same work
  bool begins = false;  // what is measured for those left out
};

struct Samples {
  std::array<Sample, kMostSamples + kMostOfWork> all{};
  int64_t count = 0;
  int64_t first_work = 0;  // samples of it
  double done = 0;         // tiles, those left out included
};

// Of a work, so many are followed; the last, which may be short, is not
// measured.
int64_t most_of_work(const AttentionPlan& plan) {
  return measured_to(plan) + 2 + lead_of(plan);
}

void sample_work(const AttentionPlan& plan, int64_t rows, double tiles,
                 int64_t last_keys, Samples& samples) {
  const int64_t most = most_of_work(plan);
  const int64_t sampled =
      std::min(std::max<int64_t>(1, std::llround(tiles)), most);
  for (int64_t i = 0; i < sampled; ++i) {
    const bool is_last = i + 1 == sampled;
    Sample& one = samples.all.at(static_cast<size_t>(samples.count));
    one.tile = {samples.count++, rows, is_last ? last_keys : plan.tile_keys,
                i == 0, is_last};
    one.begins = i == measured_from(plan);
    if (i == measured_to(plan)) {
      one.left_out = std::max(0.0, tiles - real(most));
    }
  }
  if (samples.done == 0) samples.first_work = samples.count;
  samples.done += tiles;
}

// Rows of the works of a core: full tiles, and short ones between them, for a
// tile's time does not grow evenly with its rows.
class WorkRows {
 public:
  WorkRows(const AttentionPlan& plan, const CoreShare& share)
      : tile_rows_(plan.tile_rows),
        full_(share.full / share.tiles),
        short_(share.rows) {}

  int64_t of(int64_t work) const {
    // So many are full before and with this one.
    const double before = std::floor(real(work) * full_ + 0.5);
    const bool is_full = std::floor(real(work + 1) * full_ + 0.5) > before;
    return is_full ? tile_rows_ : std::max<int64_t>(1, std::llround(short_));
  }

 private:
  int64_t tile_rows_;
  double full_;   // their share of the tiles
  double short_;  // rows of the others, in the mean
};

// Some works of a core, as alike as whole tiles let them be.
Samples sample_means(const AttentionPlan& plan, const CoreShare& share) {
  const double of_work = share.tiles / share.works;
  const WorkRows rows(plan, share);
  const auto last_keys = std::clamp<int64_t>(
      plan.tile_keys - std::llround(share.missing), 1, plan.tile_keys);
  const auto works = static_cast<int64_t>(share.works);
  Samples samples;
  for (int64_t work = 0; work < works && samples.count < kMostSamples; ++work) {
    const double left = of_work * real(work + 1) - samples.done;
    const double tiles =
        std::max(1.0, work + 1 == works ? left : std::round(left));
    sample_work(plan, rows.of(work), tiles, last_keys, samples);
  }
  return samples;
}

// All works of a core if they are known and not too many tiles.
Samples sample_tiles(const AttentionPlan& plan, const CoreShare& share) {
  Samples samples;
  int64_t count = 0;
  for (size_t i = 0; i < share.num_listed; ++i) {
    count += std::min(share.listed.at(i).tiles, most_of_work(plan));
  }
  if (count == 0 || count > static_cast<int64_t>(samples.all.size())) {
    return sample_means(plan, share);
  }
  for (size_t i = 0; i < share.num_listed; ++i) {
    const WorkShape& work = share.listed.at(i);
    sample_work(plan, work.rows, real(work.tiles),
                work.keys - (work.tiles - 1) * plan.tile_keys, samples);
  }
  return samples;
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

// A cache that is widened on the way lets the cube wait for what misses L2.
// Where samples do not stand for all tiles, time is that of works that read
// first, and that of others.
double core_cycles(const Profile& profile, const AttentionPlan& plan,
                   const CacheTraffic& traffic, double first_tiles,
                   double fresh, const CoreShare& share, Samples samples) {
  if (plan.widening != Widening::kAhead || stands_for_all(samples, share)) {
    return work_cycles(profile, plan, traffic, samples, share);
  }
  const double part = first_tiles / share.tiles;
  read_first(share.tiles, fresh, samples);
  const double first = work_cycles(profile, plan, traffic, samples, share);
  read_first(0, 0, samples);
  const double later = work_cycles(profile, plan, traffic, samples, share);
  return part * first + (1 - part) * later;
}

// Of one core, from the first work to the last.
double share_cycles(const Profile& profile, const AttentionPlan& plan,
                    const CoreShare& share) {
  const AttentionLoad& load = plan.load;
  Samples samples = sample_tiles(plan, share);
  // Cores at work at a time, in the mean.
  const double busy =
      std::clamp(load.tiles / share.tiles, 1.0, real(plan.cores));
  const double first = first_share(profile, plan, load, share, busy);
  const bool is_kept = plan.cache_bytes() <= l2_room(profile);
  const double level = is_kept ? first_level(plan, first, busy) : first;
  const double first_tiles = share.tiles * first / level;
  if (stands_for_all(samples, share)) {
    read_first(first_tiles, level / first, samples);
  }
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
  }
  return maxima + core_cycles(profile, plan, traffic, first_tiles,
                              level / first, share, samples);
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
