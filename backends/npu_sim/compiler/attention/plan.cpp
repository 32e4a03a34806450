// SPDX-License-Identifier: Apache-2.0
//
// The largest tiles of keys that fit twice.

#include "backends/npu_sim/compiler/attention/plan.hpp"

#include <algorithm>
#include <string>

#include "backends/npu_sim/compiler/attention/work.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kMostRows = 128;
constexpr int64_t kMostSlots = 4;
constexpr int64_t kMostPackets = 8;
constexpr int64_t kEnoughPackets = 4;
constexpr int64_t kTilesOfWork = 4;
constexpr int64_t kFewestTileKeys = 128;
constexpr int64_t kMostPacketBytes = 65536;
constexpr int64_t kFewRows = 32;
constexpr int64_t kFewColumns = 128;
constexpr int64_t kWidenedBytes = 16384;  // f16, of one step of a vector core
constexpr int64_t kMostWidenings = 6;     // their reads hide each other's wait
constexpr int64_t kScalesPerBeat = 8;
constexpr int64_t kFewestReaders = 3;
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
    case KvType::kS8Channel:
      if (plan.attention.block_size % kScalesPerBeat != 0) {
        throw sdk::Error(TSR_UNIMPLEMENTED,
                         "attention: block_size " +
                             std::to_string(plan.attention.block_size) +
                             " of an int8 cache is not a multiple of 8, whose "
                             "scales fill the 32 bytes that ub is filled by");
      }
      plan.cube = Type::kF16;
      break;
    case KvType::kFa3:
      plan.cube = Type::kS8;
      break;
  }
}

// What of L1 queries, two tiles of weights and, where the core widens them
// itself, tiles of the cache take.
int64_t kept_l1_bytes(const AttentionPlan& plan) {
  return fractal_bytes(plan.tile_rows, plan.attention.qk_dim, plan.cube) +
         2 * fractal_bytes(plan.tile_rows, plan.tile_keys, plan.cube) +
         (plan.keeps_cache() ? plan.key_places() * plan.wide_key_bytes() +
                                   plan.value_places() * plan.wide_value_bytes()
                             : 0);
}

// Packets take what the rest leaves of L1.
void choose_packets(const Profile& profile, AttentionPlan& plan) {
  const int64_t room = profile.local.l1_bytes - kept_l1_bytes(plan);
  // Transfers of half the most are still efficient.
  const int64_t least =
      plan.attention.v_in_k
          ? std::min(
                kMostPacketBytes,
                fractal_bytes(plan.chunk_keys, plan.value_columns, plan.cube))
          : kMostPacketBytes / 2;
  plan.num_packets = std::clamp<int64_t>(room / least, 2, kMostPackets);
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
  const int64_t maxima = plan.is_integer() ? kMostSplits * plan.state_bytes() +
                                                 lane_rows * kBeatBytes
                                           : 0;
  return buffers * scores +
         lane_rows * round_up(plan.attention.v_dim * 4, kBeatBytes) +
         lane_rows * round_up(plan.value_columns, kFractalRows) * 4 + states +
         maxima +
         (plan.widening == Widening::kAhead
              ? plan.widening_depth * plan.widening_bytes()
              : 0);
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

// Widening a cache once costs a meeting of all cores and a way through GM, so
// it is for several tiles of rows.
void choose_widening(AttentionPlan& plan) {
  if (plan.attention.kv != KvType::kS8 &&
      plan.attention.kv != KvType::kS8Channel) {
    return;
  }
  int64_t once = 0;
  int64_t each_time = 0;
  for (size_t i = 0; i < plan.attention.q_lens.size(); ++i) {
    once += plan.attention.seq_lens[i];
    each_time +=
        plan.attention.seq_lens[i] *
        ceil_div(plan.attention.q_lens[i] * plan.group(), plan.tile_rows);
  }
  plan.widening =
      each_time >= kFewestReaders * once ? Widening::kOnce : Widening::kAhead;
}

// Rows of scores in UB: all at once, else two buffers of some.
bool fits_vector(const Profile& profile, AttentionPlan& plan) {
  for (int64_t rows = plan.lane_rows_most(); rows > 0; rows /= 2) {
    plan.softmax_rows = rows;
    plan.widening_depth = 2;
    const int64_t spare = profile.local.ub_bytes - ub_bytes(plan);
    // What is widened before has UB for itself.
    plan.widening_depth = plan.widening == Widening::kAhead
                              ? 2 + spare / plan.widening_bytes()
                              : profile.local.ub_bytes / plan.widening_bytes();
    plan.widening_depth = std::min(kMostWidenings, plan.widening_depth);
    if (spare >= 0) return true;
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

int64_t most_columns(int64_t rows) {
  return rows <= kFewRows ? 2 * kFewColumns : kFewColumns;
}

void choose_tiles(const Profile& profile, AttentionPlan& plan) {
  int64_t most_rows = 0;
  int64_t most_keys = 0;
  for (size_t i = 0; i < plan.attention.q_lens.size(); ++i) {
    most_rows = std::max(most_rows, plan.attention.q_lens[i] * plan.group());
    most_keys = std::max(most_keys, plan.attention.seq_lens[i]);
  }
  plan.is_unified = profile.unified_cores;
  plan.num_lanes = profile.unified_cores ? 1 : 2;
  plan.preload = profile.unified_cores ? 1 : 2;
  for (int64_t rows = std::min(kMostRows, round_up(most_rows, kFractalRows));;
       rows = round_up(rows / 2, kFractalRows)) {
    plan.tile_rows = rows;
    choose_widening(plan);
    plan.value_columns =
        std::min(plan.attention.v_in_k ? kFewColumns : most_columns(rows),
                 round_up(plan.attention.v_dim, kFractalRows));
    for (int64_t keys = most_tile_keys(profile, rows, most_keys); keys >= 32;
         keys /= 2) {
      if (keys / 2 >= most_keys && keys > 32) continue;
      plan.tile_keys = keys;
      plan.chunk_keys = std::min(most_columns(rows), keys);
      if (!fits_cube(profile, plan) || !fits_vector(profile, plan)) continue;
      // Weights that leave L1 no room for packets starve the cube.
      if (plan.num_packets >= kEnoughPackets || keys <= kFewestTileKeys) return;
    }
    if (rows == kFractalRows) break;
  }
  throw sdk::Error(TSR_UNIMPLEMENTED,
                   "attention: head dims " +
                       std::to_string(plan.attention.qk_dim) + " and " +
                       std::to_string(plan.attention.v_dim) +
                       " do not fit the memories of " + profile.name);
}

}  // namespace

int64_t AttentionPlan::state_bytes() const {
  return round_up(lane_rows_most() * 4, kBeatBytes);
}

double AttentionPlan::cache_bytes() const {
  double keys = 0;
  for (const int64_t length : attention.seq_lens) {
    keys += static_cast<double>(length);
  }
  const int64_t dims =
      attention.qk_dim + (attention.v_in_k ? 0 : attention.v_dim);
  return keys / 8 *
         static_cast<double>(attention.num_kv_heads * dims * bits_of(cube));
}

int64_t AttentionPlan::num_rows() const {
  return (q_starts.back() + attention.q_lens.back()) * attention.num_q_heads;
}

int64_t AttentionPlan::first_row(const AttentionWork& one) const {
  const auto sequence = static_cast<size_t>(one.sequence);
  return q_starts[sequence] * attention.num_q_heads +
         one.kv_head * attention.q_lens[sequence] * group();
}

int64_t AttentionPlan::tiles_of_cache() const {
  return ceil_div(
      *std::max_element(attention.seq_lens.begin(), attention.seq_lens.end()),
      tile_keys);
}

int64_t AttentionPlan::wide_key_bytes() const {
  return fractal_bytes(tile_keys, attention.qk_dim, Type::kF16);
}

int64_t AttentionPlan::wide_value_bytes() const {
  return fractal_bytes(tile_keys, attention.v_dim, Type::kF16);
}

int64_t AttentionPlan::widened_columns() const {
  return std::max<int64_t>(1, kWidenedBytes / (tile_keys * kBeatBytes));
}

int64_t AttentionPlan::widening_bytes() const {
  const int64_t columns = widened_columns();
  const int64_t elements =
      columns * fractal_k(Type::kF16) * round_up(tile_keys, kFractalRows);
  const int64_t scales = std::max(tile_keys, columns * fractal_k(Type::kF16));
  return 3 * elements + round_up(scales * 4, kBeatBytes);
}

int64_t AttentionPlan::slot_bytes() const {
  return tile_rows * 4 *
         round_up(std::max(chunk_keys, value_columns), kFractalRows);
}

int64_t AttentionPlan::packet_dims() const {
  const int64_t k0 = fractal_k(cube);
  const int64_t most = packet_bytes / fractal_bytes(chunk_keys, k0, cube) * k0;
  // V that lies in K finds in L2 what K left there if both are cut alike.
  const int64_t wanted = attention.v_in_k ? value_columns : attention.qk_dim;
  return std::min(most, round_up(wanted, k0));
}

int64_t AttentionPlan::packet_keys() const {
  const int64_t k0 = fractal_k(cube);
  // Columns come in blocks of 32 bytes.
  const int64_t key_bytes = ceil_div(value_columns, k0) * kBeatBytes;
  int64_t most = packet_bytes / key_bytes / k0 * k0;
  // Whole blocks of the cache: a packet that ends in one takes two transfers.
  const int64_t block = attention.block_size;
  if (most > block) most = most / block * block;
  return std::min(most, round_up(tile_keys, k0));
}

AttentionPlan shape_attention(const Profile& profile,
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
  choose_splits(plan);
  return plan;
}

AttentionPlan plan_attention(const Profile& profile,
                             const Attention& attention) {
  AttentionPlan plan = shape_attention(profile, attention);
  share_work(profile, plan);
  return plan;
}

}  // namespace tessera::npu
