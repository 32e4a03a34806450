// SPDX-License-Identifier: Apache-2.0
//
// Rows and keys into works, works onto cores.

#include "backends/npu_sim/compiler/attention/work.hpp"

#include <algorithm>
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

// Longest first, each to the core with the least to do; where L2 does not hold
// the caches of all heads, one head after another.
void deal(const Profile& profile, AttentionPlan& plan,
          std::vector<AttentionWork> parts) {
  const double room = static_cast<double>(profile.global.l2_bytes) *
                      profile.assumptions.l2_capacity_share;
  const bool by_head = plan.cache_bytes() > room;
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const AttentionWork& a, const AttentionWork& b) {
                     if (by_head) {
                       const auto head = std::tie(a.sequence, a.kv_head);
                       const auto other = std::tie(b.sequence, b.kv_head);
                       if (head != other) return head < other;
                     }
                     return plan.tiles_of(a) > plan.tiles_of(b);
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
    auto& [tiles, core] = loads.back();
    part.tiles_before = tiles;
    plan.work[core].push_back(part);
    tiles += plan.tiles_of(part);
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

AttentionLoad load_of(const AttentionPlan& plan) {
  AttentionLoad load;
  load.shortest = std::numeric_limits<double>::infinity();
  const auto heads = static_cast<double>(plan.attention.num_kv_heads);
  for (size_t s = 0; s < plan.attention.q_lens.size(); ++s) {
    const int64_t total = plan.attention.q_lens[s] * plan.group();
    for (int64_t row = 0; row < total; row += plan.tile_rows) {
      const int64_t rows = std::min(plan.tile_rows, total - row);
      const auto [begin, end] = visible_keys(plan, s, row, rows);
      const int64_t keys = end - begin / plan.tile_keys * plan.tile_keys;
      const int64_t whole = ceil_div(keys, plan.tile_keys);
      const auto tiles = static_cast<double>(whole);
      load.works += heads;
      load.parts += heads * static_cast<double>(ceil_div(
                                whole, ceil_div(whole, plan.num_splits)));
      load.tiles += heads * tiles;
      load.keys += heads * static_cast<double>(keys);
      load.rows += heads * static_cast<double>(rows);
      load.shortest = std::min(load.shortest, tiles);
      if (tiles <= load.longest) continue;
      load.longest = tiles;
      load.longest_rows = static_cast<double>(rows);
      load.longest_row_tiles =
          static_cast<double>(ceil_div(total, plan.tile_rows));
    }
  }
  return load;
}

void choose_splits(AttentionPlan& plan) {
  const AttentionLoad load = load_of(plan);
  const auto most_tiles = static_cast<int64_t>(load.longest);
  const auto count = static_cast<int64_t>(load.works);
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
}

void share_work(const Profile& profile, AttentionPlan& plan) {
  choose_splits(plan);
  deal(profile, plan, split_keys(plan, all_work(plan)));
}

}  // namespace tessera::npu
