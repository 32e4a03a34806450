// SPDX-License-Identifier: Apache-2.0
//
// The largest tiles of keys that fit twice, and enough splits for all cores.

#include "backends/npu_sim/compiler/attention_plan.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "backends/npu_sim/compiler/gemm_layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kMostRows = 128;
constexpr int64_t kMostValueColumns = 256;
constexpr int64_t kMostSplits = 16;
constexpr int64_t kMostLength = int64_t{1} << 32;

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "attention: " + why);
}

void check_heads(const Attention& attention) {
  if (attention.num_q_heads <= 0 || attention.num_kv_heads <= 0 ||
      attention.num_q_heads > 65536 ||
      attention.num_q_heads % attention.num_kv_heads != 0) {
    refuse("num_q_heads " + std::to_string(attention.num_q_heads) +
           " is not a multiple of num_kv_heads " +
           std::to_string(attention.num_kv_heads));
  }
  for (const int64_t dim : {attention.qk_dim, attention.v_dim}) {
    if (dim <= 0 || dim > 4096) {
      refuse("head dim " + std::to_string(dim) + " is outside 1 to 4096");
    }
  }
  if (attention.v_in_k && attention.v_dim > attention.qk_dim) {
    refuse("v_dim " + std::to_string(attention.v_dim) +
           " does not lie in qk_dim " + std::to_string(attention.qk_dim));
  }
  if (attention.block_size <= 0 || attention.block_size > 65536) {
    refuse("block_size " + std::to_string(attention.block_size) +
           " is outside 1 to 65536");
  }
}

void check_lengths(const Attention& attention) {
  if (attention.q_lens.empty() ||
      attention.q_lens.size() != attention.seq_lens.size()) {
    refuse(std::to_string(attention.q_lens.size()) + " q_lens and " +
           std::to_string(attention.seq_lens.size()) + " seq_lens");
  }
  for (size_t i = 0; i < attention.q_lens.size(); ++i) {
    const int64_t q_len = attention.q_lens[i];
    const int64_t seq_len = attention.seq_lens[i];
    if (q_len <= 0 || seq_len > kMostLength || q_len > seq_len) {
      refuse("sequence " + std::to_string(i) + ": q_len " +
             std::to_string(q_len) + " and seq_len " + std::to_string(seq_len));
    }
  }
}

void choose_types(const Profile& profile, AttentionPlan& plan) {
  switch (plan.attention.kv) {
    case KvType::kF16:
      plan.cube = Type::kF16;
      break;
    case KvType::kBf16:
      if (!profile.cube.bf16) {
        throw sdk::Error(TSR_UNIMPLEMENTED, "attention bf16: " + profile.name +
                                                " has no bf16; f16 would work");
      }
      plan.cube = Type::kBf16;
      break;
    case KvType::kS8:
      plan.cube = Type::kF16;
      plan.widens_cache = true;
      break;
    case KvType::kFa3:
      plan.cube = Type::kS8;
      break;
  }
}

// Whether the tiles fit L1 and L0C, and a vector core's UB.
bool fits(const Profile& profile, const AttentionPlan& plan) {
  const Attention& attention = plan.attention;
  const Type type = plan.cube;
  const int64_t rows = plan.tile_rows;
  const int64_t keys = plan.tile_keys;
  const int64_t query = fractal_bytes(rows, attention.qk_dim, type);
  const int64_t key = fractal_bytes(keys, attention.qk_dim, type);
  const int64_t value =
      attention.v_in_k ? 0 : fractal_bytes(attention.v_dim, keys, type);
  const int64_t weights = fractal_bytes(rows, keys, type);
  const int64_t accumulators =
      rows * 4 *
      (plan.score_slots * keys + plan.sum_slots * plan.value_columns);
  const int64_t sums =
      (plan.sums_in_gm ? 0 : attention.v_dim) + plan.value_columns;
  const int64_t ub = plan.lane_rows_most() * (keys * (4 + 2) + sums * 4);
  // A step of one fractal along K is the least that L0 must hold twice.
  const int64_t step = 2 * fractal_bytes(std::max(rows, keys), 1, type);
  return query + 2 * (key + value + weights) <= profile.local.l1_bytes &&
         accumulators <= profile.local.l0c_bytes &&
         ub <= profile.local.ub_bytes &&
         step <= std::min(profile.local.l0a_bytes, profile.local.l0b_bytes);
}

// Tries columns of V for tiles of rows x keys; two sums in L0C before wide
// ones, so that one leaves while the next is made.
bool choose_columns(const Profile& profile, AttentionPlan& plan) {
  const int64_t most = round_up(plan.attention.v_dim, kFractalRows);
  for (const bool in_gm : {false, true}) {
    if (in_gm && profile.unified_cores) break;
    plan.sums_in_gm = in_gm;
    for (plan.sum_slots = 2; plan.sum_slots >= 1; --plan.sum_slots) {
      for (int64_t columns = kMostValueColumns; columns >= 64; columns /= 2) {
        plan.value_columns = std::min(columns, most);
        if (fits(profile, plan)) return true;
      }
    }
  }
  return false;
}

void choose_tiles(const Profile& profile, AttentionPlan& plan) {
  int64_t most_rows = 0;
  int64_t most_keys = 0;
  for (size_t i = 0; i < plan.attention.q_lens.size(); ++i) {
    most_rows = std::max(most_rows, plan.attention.q_lens[i] * plan.group());
    most_keys = std::max(most_keys, plan.attention.seq_lens[i]);
  }
  plan.num_lanes = profile.unified_cores ? 1 : 2;
  // Pipes of one core need a second tile of scores to overlap.
  plan.score_slots = profile.unified_cores ? 2 : 1;
  for (int64_t rows = std::min(kMostRows, round_up(most_rows, kFractalRows));;
       rows = round_up(rows / 2, kFractalRows)) {
    plan.tile_rows = rows;
    for (int64_t keys = 512; keys >= 32; keys /= 2) {
      if (keys / 2 >= most_keys && keys > 32) continue;
      plan.tile_keys = keys;
      if (choose_columns(profile, plan)) return;
    }
    if (rows == kFractalRows) break;
  }
  throw sdk::Error(TSR_UNIMPLEMENTED,
                   "attention: head dims " +
                       std::to_string(plan.attention.qk_dim) + " and " +
                       std::to_string(plan.attention.v_dim) +
                       " do not fit the memories of " + profile.name);
}

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
      parts.push_back(part);
    }
  }
  return parts;
}

// Longest first, each to the core with the least to do.
void deal(AttentionPlan& plan, std::vector<AttentionWork> parts) {
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const AttentionWork& a, const AttentionWork& b) {
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

void choose_splits(AttentionPlan& plan,
                   const std::vector<AttentionWork>& whole) {
  int64_t most_tiles = 0;
  for (const AttentionWork& work : whole) {
    most_tiles = std::max(most_tiles, plan.tiles_of(work));
  }
  const auto count = static_cast<int64_t>(whole.size());
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

}  // namespace

AttentionPlan plan_attention(const Profile& profile,
                             const Attention& attention) {
  check_heads(attention);
  check_lengths(attention);
  AttentionPlan plan;
  plan.attention = attention;
  if (attention.cores < 0 || attention.cores > profile.cube_cores) {
    refuse("cores " + std::to_string(attention.cores) + " of " +
           std::to_string(profile.cube_cores) + " on " + profile.name);
  }
  plan.cores = attention.cores > 0 ? attention.cores : profile.cube_cores;
  choose_types(profile, plan);
  choose_tiles(profile, plan);
  const std::vector<AttentionWork> whole = all_work(plan);
  choose_splits(plan, whole);
  deal(plan, split_keys(plan, whole));
  return plan;
}

}  // namespace tessera::npu
