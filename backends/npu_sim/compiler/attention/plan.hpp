// SPDX-License-Identifier: Apache-2.0
//
// A step of attention after all choices: tiles of queries and keys, and who
// streams which keys.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/options.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

inline constexpr int64_t kMostSplits = 16;

// Rows of one sequence and one KV head against a range of its keys.
struct AttentionWork {
  int64_t sequence = 0;
  int64_t kv_head = 0;
  int64_t row = 0;  // of the stacked (token, query head of the group) rows
  int64_t rows = 0;
  int64_t key_begin = 0;
  int64_t key_end = 0;
  int64_t split = 0;
  int64_t num_splits = 1;    // of its rows
  int64_t tiles_before = 0;  // of this core
};

// When the vector cores make f16 of an int8 cache: all of it before the
// products, where many tiles of rows read it; else tile by tile ahead of them.
enum class Widening : uint8_t { kNone, kOnce, kAhead };

// All works of a plan together.
struct AttentionLoad {
  double works = 0;  // before keys are split between cores
  double parts = 0;  // after that
  double tiles = 0;
  double keys = 0;
  double own_keys = 0;  // those that a work of the same head reads too, once
  double rows = 0;      // of all tiles
  double full = 0;      // tiles in works whose rows fill one
  double longest = 0;   // tiles of one work
  // Of the work that takes longest: own keys of its sequence, of all that are
  // read.
  double heaviest_share = 1;
  double shortest = 0;
};

struct AttentionPlan {
  Attention attention;
  Type cube = Type::kF16;  // of the products
  Widening widening = Widening::kNone;
  bool is_unified = false;  // cube and vector pipes share a core
  int64_t cores = 0;
  int64_t tile_rows = 0;
  int64_t tile_keys = 0;       // between two hand-overs to the vector cores
  int64_t preload = 1;         // tiles of scores ahead of the values
  int64_t num_splits = 1;      // of a sequence's keys between cores
  int64_t chunk_keys = 0;      // of a tile, one product with K
  int64_t value_columns = 0;   // of one product with V
  int64_t packet_bytes = 0;    // of K or V in L1
  int64_t num_packets = 2;     // on their way at a time
  int64_t num_slots = 2;       // accumulators in L0C
  int64_t softmax_rows = 0;    // in UB at a time
  int64_t widening_depth = 0;  // steps of widening in UB at a time
  int64_t num_lanes = 2;       // vector cores of one cube core
  AttentionLoad load;
  std::vector<int64_t> q_starts;                 // first token of a sequence
  std::vector<std::vector<AttentionWork>> work;  // of each core

  // Scores twice: first for the maxima that codes of weights need.
  bool is_integer() const { return cube == Type::kS8; }
  // Of what the launch writes.
  Type result_type() const { return cube == Type::kS8 ? Type::kF16 : cube; }
  int64_t group() const {
    return attention.num_q_heads / attention.num_kv_heads;
  }
  int64_t num_value_tiles() const {
    return (attention.v_dim + value_columns - 1) / value_columns;
  }
  int64_t num_chunks(int64_t keys) const {
    return (keys + chunk_keys - 1) / chunk_keys;
  }
  // Tiles that cube and vector cores exchange in GM at a time.
  int64_t num_places() const { return preload + 1; }
  // Whether L1 holds tiles that the core has widened for itself.
  bool keeps_cache() const {
    return is_unified && widening == Widening::kAhead;
  }
  // Tiles of K, or of V, that are widened before the one whose products come
  // next; between cores one is some time on its way.
  int64_t widen_ahead() const { return is_unified ? 1 : 3; }
  // And how many are not yet done with.
  int64_t key_places() const {
    return widen_ahead() + 1 + (attention.v_in_k ? preload : 0);
  }
  int64_t value_places() const {
    return attention.v_in_k ? 0 : widen_ahead() + 1;
  }
  // Tiles of the longest sequence, for which each has room.
  int64_t tiles_of_cache() const;
  // Of one of them, f16.
  int64_t wide_key_bytes() const;
  int64_t wide_value_bytes() const;
  // Columns of a tile that a vector core widens in a step; what a step takes
  // of UB: codes, what becomes of them, scales.
  int64_t widened_columns() const;
  int64_t widening_bytes() const;
  // Of UB: maxima and sums of works, factors of tiles, for each row of a lane.
  int64_t num_states() const { return num_places() + 1; }
  // Of all sequences and heads, as the cube reads it.
  double cache_bytes() const;
  // Whether the products read the cache as it is stored.
  bool is_plain() const { return widening == Widening::kNone && !is_integer(); }
  int64_t state_bytes() const;
  int64_t slot_bytes() const;
  // Stacked rows of all sequences and KV heads, one after another.
  int64_t num_rows() const;
  // Splits of the keys of rows from `row` on, all of one tile of rows.
  int64_t splits_at(int64_t sequence, int64_t row) const;
  int64_t first_row(const AttentionWork& one) const;
  // Columns of K, and keys of V, that a packet holds.
  int64_t packet_dims() const;
  int64_t packet_keys() const;
  int64_t lane_rows_most() const {
    return (tile_rows + num_lanes - 1) / num_lanes;
  }
  int64_t tiles_of(const AttentionWork& one) const {
    return (one.key_end - one.key_begin + tile_keys - 1) / tile_keys;
  }
};

// Errors  throws sdk::Error INVALID_ARGUMENT for lengths and heads that clash;
//         UNIMPLEMENTED for types the chip has not, or head dims beyond L1
AttentionPlan plan_attention(const Profile& profile,
                             const Attention& attention);
// The same but for who does what: `work` is empty, the formula does not need
// it.
AttentionPlan shape_attention(const Profile& profile,
                              const Attention& attention);

double attention_cycles(const Profile& profile, const AttentionPlan& plan);

}  // namespace tessera::npu
