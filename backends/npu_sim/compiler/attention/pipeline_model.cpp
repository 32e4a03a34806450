// SPDX-License-Identifier: Apache-2.0
//
// The busiest core's pipes over a few tiles of a few works, and what each
// further one adds.

#include "backends/npu_sim/compiler/attention/pipeline_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/npu_sim/compiler/attention/merge.hpp"
#include "backends/npu_sim/compiler/attention/pipeline.hpp"
#include "backends/npu_sim/compiler/attention/work.hpp"

namespace tessera::npu {
namespace {

// Tiles that are followed one by one; more tell nothing new.
constexpr int64_t kTilesOfWork = 6;
constexpr int64_t kSampledTiles = 16;

double real(int64_t value) { return static_cast<double>(value); }

// What the core with the most to do has.
struct Share {
  double works = 0;
  double tiles = 0;  // of all of them
};

Share busiest(const AttentionPlan& plan, const AttentionLoad& load) {
  const double longest = std::ceil(load.longest / real(plan.num_splits));
  const double cores = real(plan.cores);
  Share share;
  share.works = std::ceil(load.parts / cores);
  // Short ones fill what long ones leave; equal ones come in whole rounds.
  const bool is_even = load.longest == load.shortest;
  share.tiles = std::max({longest, load.tiles / cores,
                          is_even ? share.works * longest : share.works});
  if (!is_even && load.parts < 4 * cores) {
    share.tiles = std::max(share.tiles, load.tiles / cores + longest / 4);
  }
  // The longest work has a core of its own.
  if (!is_even && share.tiles <= longest) share.works = 1;
  return share;
}

// Works of a sequence and head.  A core with few works has the longest.
constexpr double kFewWorks = 2;

double row_tiles(const AttentionPlan& plan, const AttentionLoad& load,
                 const Share& share) {
  if (share.works <= kFewWorks) return load.longest_row_tiles;
  return std::max(1.0, load.works / real(plan.attention.num_kv_heads) /
                           static_cast<double>(plan.attention.q_lens.size()));
}

// Of the cache, what comes from DRAM for a work: it is read once for all works
// of its head, if L2 keeps it that long.
CacheTraffic cache_traffic(const Profile& profile, const AttentionPlan& plan,
                           const AttentionLoad& load, const Share& share) {
  // Cores at work at a time, in the mean.
  const double busy =
      std::clamp(load.tiles / share.tiles, 1.0, real(plan.cores));
  CacheTraffic traffic;
  traffic.cores = busy;
  const double bytes = plan.cache_bytes();
  const double room =
      real(profile.global.l2_bytes) * profile.assumptions.l2_capacity_share;
  const double works = row_tiles(plan, load, share);
  const double heads = load.works / works;
  // Heads that are worked on at a time.
  const double live = std::min(heads, std::ceil(busy / works));
  const double set = bytes > room ? bytes / heads * live : bytes;
  const double lost = set > room ? 1 - room / set : 0;
  traffic.first = 1 / works + (1 - 1 / works) * lost;
  return traffic;
}

// Tiles of works in order, with what runs ahead.
class Run {
 public:
  Run(AttentionPipeline& pipeline, const AttentionPlan& plan)
      : pipeline_(pipeline), plan_(plan) {}

  void tile(const TileOfKeys& next) {
    pipeline_.ahead(next);
    waiting_.at(static_cast<size_t>(next.index % kPlaces)) = next;
    if (next.index >= plan_.preload) {
      pipeline_.finish(waiting_.at(
          static_cast<size_t>((next.index - plan_.preload) % kPlaces)));
    }
    last_ = next.index;
  }
  void drain() {
    for (int64_t i = std::max<int64_t>(0, last_ - plan_.preload + 1);
         i <= last_; ++i) {
      pipeline_.finish(waiting_.at(static_cast<size_t>(i % kPlaces)));
    }
  }

 private:
  static constexpr int64_t kPlaces = 8;
  AttentionPipeline& pipeline_;
  const AttentionPlan& plan_;
  std::array<TileOfKeys, kPlaces> waiting_{};
  int64_t last_ = -1;
};

// A core's works, as alike as whole tiles let them be.
double core_cycles(const Profile& profile, const AttentionPlan& plan,
                   const CacheTraffic& traffic, const AttentionLoad& load,
                   const Share& share) {
  AttentionPipeline pipeline(profile, plan, traffic);
  Run run(pipeline, plan);
  const double of_work = share.tiles / share.works;
  const double mean_rows =
      share.works <= kFewWorks ? load.longest_rows : load.rows / load.works;
  const auto rows = std::max<int64_t>(1, std::llround(mean_rows));
  // Keys that last tiles lack of whole ones; of split works, few are last.
  const double missing =
      plan.num_splits > 1
          ? 0
          : (load.tiles * real(plan.tile_keys) - load.keys) / load.works;
  const auto last_keys = std::clamp<int64_t>(
      plan.tile_keys - std::llround(missing), 1, plan.tile_keys);
  const auto works = static_cast<int64_t>(share.works);
  int64_t index = 0;
  double done = 0;        // tiles, those left out included
  double first_done = 0;  // of them, in the first work
  double first_end = 0;
  for (int64_t work = 0; work < works && index < kSampledTiles; ++work) {
    const double until = of_work * real(work + 1);
    const double tiles = std::max(
        1.0, work + 1 == works ? until - done : std::round(until - done));
    const auto sampled = std::min<int64_t>(
        std::max<int64_t>(1, std::llround(tiles)), kTilesOfWork);
    double half = 0;
    for (int64_t i = 0; i < sampled; ++i) {
      const bool is_last = i + 1 == sampled;
      run.tile({index++, rows, is_last ? last_keys : plan.tile_keys, i == 0,
                is_last});
      if (i == kTilesOfWork / 2 - 1) half = pipeline.end();
      if (i == kTilesOfWork - 2) {
        // From here on each tile adds the same.
        pipeline.skip((pipeline.end() - half) / real(i - kTilesOfWork / 2 + 1) *
                      (tiles - real(kTilesOfWork)));
      }
    }
    done += tiles;
    if (work == 0) {
      first_done = done;
      first_end = pipeline.end();
    }
  }
  const double left = std::max(0.0, share.tiles - done);
  const double each = done > first_done
                          ? (pipeline.end() - first_end) / (done - first_done)
                          : 0;
  run.drain();
  return pipeline.end() + left * each;
}

// Where keys are split, all cores meet before their sums are merged.
double split_cycles(const Profile& profile, const AttentionPlan& plan) {
  if (plan.num_splits == 1) return 0;
  return profile.global.write_latency_cycles +
         profile.assumptions.cross_core_cycles + merge_cycles(profile, plan);
}

}  // namespace

double pipeline_cycles(const Profile& profile, const AttentionPlan& plan) {
  const AttentionLoad load = load_of(plan);
  const Share share = busiest(plan, load);
  const CacheTraffic traffic = cache_traffic(profile, plan, load, share);
  return core_cycles(profile, plan, traffic, load, share) +
         profile.global.write_latency_cycles + split_cycles(profile, plan);
}

}  // namespace tessera::npu
