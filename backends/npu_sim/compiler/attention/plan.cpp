// SPDX-License-Identifier: Apache-2.0
//
// The largest tiles of keys that fit twice, and enough splits for all cores.

#include "backends/npu_sim/compiler/attention/plan.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kMostRows = 128;
constexpr int64_t kMostSlots = 4;
constexpr int64_t kMostPackets = 8;
constexpr int64_t kTilesOfWork = 4;
constexpr int64_t kFewestTileKeys = 128;
constexpr int64_t kMostPacketBytes = 65536;
constexpr int64_t kBeatBytes = 32;
constexpr int64_t kFewRows = 32;
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

// Packets take what queries and two tiles of weights leave of L1.
void choose_packets(const Profile& profile, AttentionPlan& plan) {
  const int64_t kept =
      fractal_bytes(plan.tile_rows, plan.attention.qk_dim, plan.cube) +
      2 * fractal_bytes(plan.tile_rows, plan.tile_keys, plan.cube);
  const int64_t room = profile.local.l1_bytes - kept;
  // Transfers of half the most are still efficient.
  plan.num_packets =
      std::clamp<int64_t>(room / (kMostPacketBytes / 2), 2, kMostPackets);
  plan.packet_bytes = std::min(kMostPacketBytes, room / plan.num_packets) /
                      kBeatBytes * kBeatBytes;
}

int64_t ub_bytes(const AttentionPlan& plan) {
  const int64_t lane_rows = plan.lane_rows_most();
  const int64_t buffers = plan.softmax_rows < lane_rows ? 2 : 1;
  const int64_t scores =
      round_up(plan.softmax_rows * plan.tile_keys * (4 + 2), kBeatBytes);
  const int64_t states =
      (2 * plan.num_states() + plan.num_places()) * plan.state_bytes();
  return buffers * scores +
         lane_rows * round_up(plan.attention.v_dim * 4, kBeatBytes) +
         lane_rows * round_up(plan.value_columns, kFractalRows) * 4 + states;
}

// Whether the tiles fit L0, L0C and L1.
bool fits_cube(const Profile& profile, AttentionPlan& plan) {
  const int64_t widest =
      std::max({plan.tile_rows, plan.chunk_keys, plan.value_columns});
  const int64_t step = 2 * fractal_bytes(widest, 1, plan.cube);
  choose_packets(profile, plan);
  plan.num_slots =
      std::min(kMostSlots, profile.local.l0c_bytes / plan.slot_bytes());
  return plan.packet_bytes >= fractal_bytes(widest, 1, plan.cube) &&
         plan.packet_keys() > 0 && plan.packet_dims() > 0 &&
         plan.num_slots >= 2 &&
         step <= std::min(profile.local.l0a_bytes, profile.local.l0b_bytes);
}

// Rows of scores in UB: all at once, else two buffers of some.
bool fits_vector(const Profile& profile, AttentionPlan& plan) {
  for (int64_t rows = plan.lane_rows_most(); rows > 0; rows /= 2) {
    plan.softmax_rows = rows;
    if (ub_bytes(plan) <= profile.local.ub_bytes) return true;
    // What one core drains is a whole tile.
    if (profile.unified_cores) break;
  }
  return false;
}

// Long tiles hand over sums less often; short ones overlap sooner.
int64_t most_tile_keys(const Profile& profile, int64_t rows, int64_t keys) {
  int64_t most = profile.unified_cores || rows <= kFewRows ? 256 : 512;
  while (most > kFewestTileKeys && keys < kTilesOfWork * most) most /= 2;
  return most;
}

int64_t most_columns(int64_t rows) { return rows <= kFewRows ? 256 : 128; }

void choose_tiles(const Profile& profile, AttentionPlan& plan) {
  int64_t most_rows = 0;
  int64_t most_keys = 0;
  for (size_t i = 0; i < plan.attention.q_lens.size(); ++i) {
    most_rows = std::max(most_rows, plan.attention.q_lens[i] * plan.group());
    most_keys = std::max(most_keys, plan.attention.seq_lens[i]);
  }
  plan.num_lanes = profile.unified_cores ? 1 : 2;
  plan.preload = profile.unified_cores ? 1 : 2;
  for (int64_t rows = std::min(kMostRows, round_up(most_rows, kFractalRows));;
       rows = round_up(rows / 2, kFractalRows)) {
    plan.tile_rows = rows;
    plan.value_columns = std::min(most_columns(rows),
                                  round_up(plan.attention.v_dim, kFractalRows));
    for (int64_t keys = most_tile_keys(profile, rows, most_keys); keys >= 32;
         keys /= 2) {
      if (keys / 2 >= most_keys && keys > 32) continue;
      plan.tile_keys = keys;
      plan.chunk_keys = std::min(most_columns(rows), keys);
      if (fits_cube(profile, plan) && fits_vector(profile, plan)) return;
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

int64_t AttentionPlan::state_bytes() const {
  return round_up(lane_rows_most() * 4, kBeatBytes);
}

int64_t AttentionPlan::num_rows() const {
  return (q_starts.back() + attention.q_lens.back()) * attention.num_q_heads;
}

int64_t AttentionPlan::first_row(const AttentionWork& one) const {
  const auto sequence = static_cast<size_t>(one.sequence);
  return q_starts[sequence] * attention.num_q_heads +
         one.kv_head * attention.q_lens[sequence] * group();
}

int64_t AttentionPlan::slot_bytes() const {
  return tile_rows * 4 *
         round_up(std::max(chunk_keys, value_columns), kFractalRows);
}

int64_t AttentionPlan::packet_dims() const {
  const int64_t k0 = fractal_k(cube);
  const int64_t most = packet_bytes / fractal_bytes(chunk_keys, k0, cube) * k0;
  return std::min(most, round_up(attention.qk_dim, k0));
}

int64_t AttentionPlan::packet_keys() const {
  const int64_t k0 = fractal_k(cube);
  const int64_t most =
      packet_bytes / fractal_bytes(value_columns, k0, cube) * k0;
  return std::min(most, round_up(tile_keys, k0));
}

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
  int64_t tokens = 0;
  for (const int64_t length : attention.q_lens) {
    plan.q_starts.push_back(tokens);
    tokens += length;
  }
  choose_types(profile, plan);
  choose_tiles(profile, plan);
  const std::vector<AttentionWork> whole = all_work(plan);
  choose_splits(plan, whole);
  deal(plan, split_keys(plan, whole));
  return plan;
}

}  // namespace tessera::npu
