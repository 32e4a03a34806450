// SPDX-License-Identifier: Apache-2.0
//
// Rows and keys into works, works onto cores.

#include "backends/npu_sim/compiler/attention/work.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"

namespace tessera::npu {
namespace {

// The keys that rows [row, row + rows) of a sequence may see.
std::pair<int64_t, int64_t> visible_keys(const AttentionPlan& plan,
                                         size_t sequence, int64_t row,
                                         int64_t rows) {
  const Attention& attention = plan.attention;
  const int64_t q_len = attention.q_lens[sequence];
  const int64_t seq_len = attention.seq_lens[sequence];
  if (!attention.causal) return {0, seq_len};
  const int64_t first = seq_len - q_len + row / plan.group();
  const int64_t last = seq_len - q_len + (row + rows - 1) / plan.group();
  const int64_t begin = attention.window > 0
                            ? std::max<int64_t>(0, first + 1 - attention.window)
                            : 0;
  return {begin, last + 1};
}

std::vector<AttentionWork> all_work(const AttentionPlan& plan) {
  std::vector<AttentionWork> all;
  for (size_t s = 0; s < plan.attention.q_lens.size(); ++s) {
    const int64_t total = plan.attention.q_lens[s] * plan.group();
    for (int64_t head = 0; head < plan.attention.num_kv_heads; ++head) {
      for (int64_t row = 0; row < total; row += plan.tile_rows) {
        AttentionWork work;
        work.sequence = static_cast<int64_t>(s);
        work.kv_head = head;
        work.row = row;
        work.rows = std::min(plan.tile_rows, total - row);
        std::tie(work.key_begin, work.key_end) =
            visible_keys(plan, s, row, work.rows);
        // Tiles begin at multiples of their size, whatever the window.
        work.key_begin = work.key_begin / plan.tile_keys * plan.tile_keys;
        all.push_back(work);
      }
    }
  }
  return all;
}

std::vector<AttentionWork> split_keys(const AttentionPlan& plan,
                                      const std::vector<AttentionWork>& whole) {
  std::vector<AttentionWork> parts;
  for (const AttentionWork& work : whole) {
    const int64_t keys = work.key_end - work.key_begin;
    const int64_t share =
        round_up(ceil_div(keys, plan.num_splits), plan.tile_keys);
    for (int64_t at = 0; at < keys; at += share) {
      AttentionWork part = work;
      part.key_begin = work.key_begin + at;
      part.key_end = std::min(work.key_end, part.key_begin + share);
      part.split = at / share;
      part.num_splits = ceil_div(keys, share);
      parts.push_back(part);
    }
  }
  return parts;
}

// What a work of so many tiles takes, in no unit: about half of a full tile's
// time does not depend on its rows.
int64_t weight_of(const AttentionPlan& plan, int64_t rows, int64_t tiles) {
  return tiles * (plan.tile_rows + rows);
}

// Longest first, each to the core with the least to do; where works share heads
// and L2 does not hold the caches of all, one head after another.
void deal(const Profile& profile, AttentionPlan& plan,
          std::vector<AttentionWork> parts) {
  const double room = static_cast<double>(profile.global.l2_bytes) *
                      profile.assumptions.l2_capacity_share;
  const bool is_shared =
      std::any_of(parts.begin(), parts.end(),
                  [](const AttentionWork& part) { return part.row > 0; });
  const bool by_head = is_shared && plan.cache_bytes() > room;
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const AttentionWork& a, const AttentionWork& b) {
                     if (by_head) {
                       const auto head = std::tie(a.sequence, a.kv_head);
                       const auto other = std::tie(b.sequence, b.kv_head);
                       if (head != other) return head < other;
                     }
                     return weight_of(plan, a.rows, plan.tiles_of(a)) >
                            weight_of(plan, b.rows, plan.tiles_of(b));
                   });
  plan.work.assign(static_cast<size_t>(plan.cores), {});
  std::vector<std::pair<int64_t, size_t>> loads;
  for (size_t core = 0; core < plan.work.size(); ++core) {
    loads.emplace_back(0, core);
  }
  const auto is_later = std::greater<>();
  std::make_heap(loads.begin(), loads.end(), is_later);
  for (AttentionWork& part : parts) {
    std::pop_heap(loads.begin(), loads.end(), is_later);
    auto& [weight, core] = loads.back();
    std::vector<AttentionWork>& mine = plan.work[core];
    part.tiles_before =
        mine.empty() ? 0
                     : mine.back().tiles_before + plan.tiles_of(mine.back());
    weight += weight_of(plan, part.rows, plan.tiles_of(part));
    mine.push_back(part);
    std::push_heap(loads.begin(), loads.end(), is_later);
  }
}

}  // namespace

int64_t AttentionPlan::splits_at(int64_t sequence, int64_t row) const {
  const auto number = static_cast<size_t>(sequence);
  const int64_t total = attention.q_lens[number] * group();
  const int64_t first = row / tile_rows * tile_rows;
  const auto [begin, end] =
      visible_keys(*this, number, first, std::min(tile_rows, total - first));
  const int64_t keys = end - begin / tile_keys * tile_keys;
  return ceil_div(keys, round_up(ceil_div(keys, num_splits), tile_keys));
}

namespace {

// Of the tiles of rows of a long sequence, so many stand for all: their keys
// grow evenly.
constexpr int64_t kSampledRows = 48;

// What the tiles of one sequence's rows add up to.
class SequenceLoad {
 public:
  SequenceLoad(const AttentionPlan& plan, size_t sequence, AttentionLoad& load)
      : plan_(plan), sequence_(sequence), load_(load) {}

  // All rows; `most` is the time of the heaviest work so far.
  void add(double& most);

 private:
  // One tile of rows that stands for `count`.
  void add_tile(int64_t row, double count, double& most);

  const AttentionPlan& plan_;
  size_t sequence_;
  AttentionLoad& load_;
  int64_t total_ = 0;
  double read_ = 0;  // keys
  int64_t first_ = 0;
  int64_t last_ = 0;
};

void SequenceLoad::add_tile(int64_t row, double count, double& most) {
  const auto heads = static_cast<double>(plan_.attention.num_kv_heads) * count;
  const int64_t rows = std::min(plan_.tile_rows, total_ - row);
  const auto [begin, end] = visible_keys(plan_, sequence_, row, rows);
  const int64_t aligned = begin / plan_.tile_keys * plan_.tile_keys;
  const int64_t whole = ceil_div(end - aligned, plan_.tile_keys);
  const auto tiles = static_cast<double>(whole);
  load_.works += heads;
  load_.parts += heads * static_cast<double>(ceil_div(
                             whole, ceil_div(whole, plan_.num_splits)));
  load_.tiles += heads * tiles;
  load_.rows += heads * tiles * static_cast<double>(rows);
  load_.full += rows == plan_.tile_rows ? heads * tiles : 0;
  load_.shortest = std::min(load_.shortest, tiles);
  read_ += count * static_cast<double>(end - aligned);
  first_ = std::min(first_, aligned);
  last_ = std::max(last_, end);
  load_.longest = std::max(load_.longest, tiles);
  const auto weight = static_cast<double>(weight_of(plan_, rows, whole));
  most = std::max(most, weight);
}

void SequenceLoad::add(double& most) {
  total_ = plan_.attention.q_lens[sequence_] * plan_.group();
  first_ = plan_.attention.seq_lens[sequence_];
  const double before = most;
  const int64_t count = ceil_div(total_, plan_.tile_rows);
  // The first and the last, which may be short, for themselves.
  const int64_t step = ceil_div(count, kSampledRows);
  add_tile(0, 1, most);
  for (int64_t i = 1; i + 1 < count; i += step) {
    const int64_t those = std::min(step, count - 1 - i);
    add_tile((i + those / 2) * plan_.tile_rows, static_cast<double>(those),
             most);
  }
  if (count > 1) add_tile((count - 1) * plan_.tile_rows, 1, most);
  const auto heads = static_cast<double>(plan_.attention.num_kv_heads);
  const auto own = static_cast<double>(last_ - first_);
  load_.keys += heads * read_;
  load_.own_keys += heads * own;
  if (most > before) load_.heaviest_share = own / read_;
}

}  // namespace

AttentionLoad load_of(const AttentionPlan& plan) {
  AttentionLoad load;
  load.shortest = std::numeric_limits<double>::infinity();
  double most = 0;
  for (size_t s = 0; s < plan.attention.q_lens.size(); ++s) {
    SequenceLoad(plan, s, load).add(most);
  }
  return load;
}

namespace {

// With more, shares come out even.
constexpr double kFewParts = 12;  // a core

// Equal parts of works.
struct EqualParts {
  int64_t weight = 0;
  WorkShape shape;
  int64_t count = 0;
};

// The parts of the work of `rows` rows against `keys` keys, once for each head.
void add_parts(const AttentionPlan& plan, int64_t rows, int64_t keys,
               std::vector<EqualParts>& all) {
  const int64_t tiles = ceil_div(keys, plan.tile_keys);
  const int64_t each = ceil_div(tiles, plan.num_splits);
  const int64_t heads = plan.attention.num_kv_heads;
  const int64_t whole = (tiles - 1) / each;  // parts before the last
  const int64_t last = tiles - whole * each;
  const int64_t whole_keys = each * plan.tile_keys;
  if (whole > 0) {
    all.push_back(
        {weight_of(plan, rows, each), {rows, each, whole_keys}, whole * heads});
  }
  all.push_back({weight_of(plan, rows, last),
                 {rows, last, keys - whole * whole_keys},
                 heads});
}

std::vector<EqualParts> parts_of(const AttentionPlan& plan) {
  std::vector<EqualParts> all;
  for (size_t s = 0; s < plan.attention.q_lens.size(); ++s) {
    const int64_t total = plan.attention.q_lens[s] * plan.group();
    for (int64_t row = 0; row < total; row += plan.tile_rows) {
      const int64_t rows = std::min(plan.tile_rows, total - row);
      const auto [begin, end] = visible_keys(plan, s, row, rows);
      add_parts(plan, rows, end - begin / plan.tile_keys * plan.tile_keys, all);
    }
  }
  std::sort(all.begin(), all.end(),
            [](const EqualParts& a, const EqualParts& b) {
              return a.weight > b.weight;
            });
  return all;
}

// Of the tiles of a core, or of all, those in works whose rows fill one, and
// what rows the others have in the mean.
void share_rows(const AttentionPlan& plan, double full, double rows,
                CoreShare& share) {
  const auto tile_rows = static_cast<double>(plan.tile_rows);
  const double rest = share.tiles - full;
  share.full = full;
  share.rows = rest > 0 ? (rows - full * tile_rows) / rest : tile_rows;
}

// What has been dealt to a core.
struct Dealt {
  size_t core = 0;
  int64_t weight = 0;
  int64_t works = 0;
  int64_t tiles = 0;
  int64_t full = 0;  // tiles
  int64_t rows = 0;  // of all tiles
  int64_t keys = 0;

  void add(const AttentionPlan& plan, const EqualParts& parts) {
    const WorkShape& shape = parts.shape;
    weight += parts.weight;
    ++works;
    tiles += shape.tiles;
    full += shape.rows == plan.tile_rows ? shape.tiles : 0;
    rows += shape.tiles * shape.rows;
    keys += shape.keys;
  }
};

// Each to the core with the least to do.
class LongestFirst {
 public:
  explicit LongestFirst(const AttentionPlan& plan)
      : plan_(plan), parts_(parts_of(plan)) {
    cores_.resize(static_cast<size_t>(plan.cores));
    for (size_t i = 0; i < cores_.size(); ++i) cores_[i].core = i;
    order_.reserve(static_cast<size_t>(plan.load.parts));
    const auto is_busier = [](const Dealt& a, const Dealt& b) {
      return a.weight > b.weight;
    };
    for (const EqualParts& parts : parts_) {
      for (int64_t i = 0; i < parts.count; ++i) {
        std::pop_heap(cores_.begin(), cores_.end(), is_busier);
        cores_.back().add(plan, parts);
        order_.emplace_back(cores_.back().core, &parts.shape);
        std::push_heap(cores_.begin(), cores_.end(), is_busier);
      }
    }
  }

  // Of those with as much, that with the most keys.
  const Dealt& most(int64_t Dealt::*what) const {
    return *std::max_element(
        cores_.begin(), cores_.end(), [&](const Dealt& a, const Dealt& b) {
          return std::tie(a.*what, a.keys) < std::tie(b.*what, b.keys);
        });
  }

  CoreShare share_of(const Dealt& dealt) const {
    CoreShare share;
    share.works = static_cast<double>(dealt.works);
    share.tiles = static_cast<double>(dealt.tiles);
    share.missing =
        static_cast<double>(dealt.tiles * plan_.tile_keys - dealt.keys) /
        share.works;
    share_rows(plan_, static_cast<double>(dealt.full),
               static_cast<double>(dealt.rows), share);
    if (dealt.works > static_cast<int64_t>(share.listed.size())) return share;
    for (const auto& [core, shape] : order_) {
      if (core == dealt.core) share.listed.at(share.num_listed++) = *shape;
    }
    return share;
  }

 private:
  const AttentionPlan& plan_;
  std::vector<EqualParts> parts_;
  std::vector<Dealt> cores_;  // the least are on top of a heap
  std::vector<std::pair<size_t, const WorkShape*>> order_;
};

BusiestCores deal_longest_first(const AttentionPlan& plan) {
  const LongestFirst dealt(plan);
  const Dealt& busiest = dealt.most(&Dealt::weight);
  const auto what = busiest.works == 1 ? &Dealt::rows : &Dealt::tiles;
  const Dealt& other = dealt.most(what);
  BusiestCores cores;
  cores.shares[0] = dealt.share_of(busiest);
  if (other.*what > busiest.*what) {
    cores.shares[cores.count++] = dealt.share_of(other);
  }
  return cores;
}

}  // namespace

BusiestCores busiest_cores(const AttentionPlan& plan) {
  const AttentionLoad& load = plan.load;
  const auto cores = static_cast<double>(plan.cores);
  if (load.parts < kFewParts * cores) return deal_longest_first(plan);
  CoreShare share;
  share.tiles = load.tiles;
  share_rows(plan, load.full, load.rows, share);
  share.works = std::ceil(load.parts / cores);
  // Of split works, few are last.
  if (plan.num_splits == 1) {
    share.missing =
        (load.tiles * static_cast<double>(plan.tile_keys) - load.keys) /
        load.works;
  }
  const double longest =
      std::ceil(load.longest / static_cast<double>(plan.num_splits));
  const bool is_even = load.longest == load.shortest;
  share.tiles = std::max({longest, load.tiles / cores,
                          is_even ? share.works * longest : share.works});
  share.full *= share.tiles / load.tiles;
  BusiestCores busiest;
  busiest.shares[0] = share;
  return busiest;
}

void choose_splits(AttentionPlan& plan) {
  plan.load = load_of(plan);
  const auto most_tiles = static_cast<int64_t>(plan.load.longest);
  const auto count = static_cast<int64_t>(plan.load.works);
  int64_t best = 1;
  int64_t best_tiles = std::numeric_limits<int64_t>::max();
  for (int64_t splits = 1; splits <= std::min(kMostSplits, most_tiles);
       ++splits) {
    const int64_t rounds = ceil_div(count * splits, plan.cores);
    // A split costs about what one more tile does.
    const int64_t tiles =
        rounds * (ceil_div(most_tiles, splits) + (splits > 1 ? 1 : 0));
    if (tiles < best_tiles) {
      best = splits;
      best_tiles = tiles;
    }
  }
  plan.num_splits = count >= 4 * plan.cores ? 1 : best;
  if (plan.num_splits > 1) plan.load = load_of(plan);
}

void share_work(const Profile& profile, AttentionPlan& plan) {
  deal(profile, plan, split_keys(plan, all_work(plan)));
}

}  // namespace tessera::npu
