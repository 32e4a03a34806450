// SPDX-License-Identifier: Apache-2.0
//
// The cube core's side: products into slots of L0C, and from there to whoever
// does the softmax.

#include "backends/npu_sim/compiler/attention/emitter.hpp"

#include <algorithm>

#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {

std::vector<RowRun> row_runs(const AttentionPlan& plan,
                             const AttentionWork& work, int64_t first,
                             int64_t rows) {
  const int64_t group = plan.group();
  const int64_t heads = plan.attention.num_q_heads;
  const int64_t begin =
      plan.q_starts[static_cast<size_t>(work.sequence)] * heads +
      work.kv_head * group;
  if (group == 1) return {{first, rows, begin + first * heads, heads}};
  std::vector<RowRun> runs;
  for (int64_t row = first; row < first + rows;) {
    const int64_t in_token = row % group;
    const int64_t count = std::min(first + rows - row, group - in_token);
    runs.push_back({row, count, begin + row / group * heads + in_token, 1});
    row += count;
  }
  return runs;
}

AttentionEmitter::AttentionEmitter(const Profile& profile,
                                   const AttentionPlan& plan, Emitter& out)
    : profile_(profile), plan_(plan), out_(out) {
  query_bytes_ =
      fractal_bytes(plan_.tile_rows, plan_.attention.qk_dim, plan_.cube);
  weight_bytes_ = fractal_bytes(plan_.tile_rows, plan_.tile_keys, plan_.cube);
}

int64_t AttentionEmitter::weight_place(int64_t index) const {
  return query_bytes_ + index % kBuffers * weight_bytes_;
}

void AttentionEmitter::primes(bool has_cube, bool has_vector) {
  if (has_cube) {
    for (int64_t b = 0; b < plan_.num_packets; ++b) {
      out_.set(Pipe::kMte1, Pipe::kMte2, kPacketFlag + b);
    }
    for (int64_t b = 0; b < kBuffers; ++b) {
      out_.set(Pipe::kMte1, is_unified() ? Pipe::kMte3 : Pipe::kMte2,
               kWeightFlag + b);
      out_.set(Pipe::kCube, Pipe::kMte1, b);
    }
    out_.set(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
    if (plan_.keeps_cache()) {
      for (int64_t place = 0; place < plan_.key_places(); ++place) {
        out_.set(Pipe::kMte1, Pipe::kMte3, kWideKeyFlag + place);
      }
      for (int64_t place = 0; place < plan_.value_places(); ++place) {
        out_.set(Pipe::kMte1, Pipe::kMte3, kWideValueFlag + place);
      }
    }
    for (int64_t slot = 0; slot < plan_.num_slots; ++slot) {
      out_.set(exit(), Pipe::kCube, slot);
    }
  }
  if (!has_vector) return;
  out_.set(Pipe::kMte3, Pipe::kVector, kResultFlag);
  out_.set(Pipe::kVector, Pipe::kMte2, kMaximaFlag);
  out_.set(Pipe::kVector, Pipe::kMte2, kMarkFlag);
  for (int64_t b = 0; widens_ahead() && b < plan_.widening_depth; ++b) {
    out_.set(Pipe::kMte3, Pipe::kMte2, kWidenFlag + b);
  }
  if (is_unified()) {
    out_.set(Pipe::kMte3, Pipe::kVector, kPieceFlag);
    return;
  }
  for (int64_t b = 0; b < kBuffers; ++b) {
    out_.set(Pipe::kMte3, Pipe::kMte2, kPieceFlag + b);
    out_.set(Pipe::kVector, Pipe::kMte2, kPieceFlag + b);
  }
  out_.set(Pipe::kVector, Pipe::kMte2, kIncomingFlag);
}

int64_t AttentionEmitter::lane_rows(const KeyTile& tile,
                                    int64_t sibling) const {
  if (is_unified()) return tile.work->rows;
  const int64_t half = ceil_div(tile.work->rows, 2);
  return sibling == 1 ? half : tile.work->rows - half;
}

// What cube and vector cores exchange in GM: `kind` 0 scores, 1 weights, 2
// sums, each of a few tiles.
Rectangle AttentionEmitter::between(int64_t kind, const KeyTile& tile,
                                    int64_t row, int64_t rows,
                                    int64_t row_bytes) const {
  const int64_t area = plan_.tile_rows *
                       std::max(plan_.tile_keys, plan_.attention.v_dim) *
                       kFloatBytes;
  const int64_t places = plan_.num_places();
  const int64_t place = (tile.core * 3 + kind) * places + tile.index % places;
  return {gm_address(Tensor::kAccumulators,
                     place * round_up(area, 512) + row * row_bytes),
          rows, row_bytes, row_bytes};
}

int64_t AttentionEmitter::cache_columns(int64_t dim) const {
  return ceil_div(dim, fractal_k(plan_.cube));
}

int64_t AttentionEmitter::packet_pitch(int64_t keys) const {
  return round_up(keys, kFractalRows) * kBeatBytes;
}

// L0C += A . B from L1, k in steps that fit half of L0.
void AttentionEmitter::product(const Product& what) {
  const Type type = plan_.cube;
  const int64_t k0 = fractal_k(type);
  const int64_t a_fractal = fractal_bytes(what.m, k0, type);
  const int64_t b_fractal = fractal_bytes(what.n, k0, type);
  const int64_t fractals = std::max<int64_t>(
      1, std::min(profile_.local.l0a_bytes / kBuffers / a_fractal,
                  profile_.local.l0b_bytes / kBuffers / b_fractal));
  const int64_t step_k = fractals * k0;
  for (int64_t at = 0; at < what.k; at += step_k, ++steps_) {
    const int64_t count = std::min(step_k, what.k - at);
    const int64_t l0 = steps_ % kBuffers;
    const int64_t a_l0 = l0 * profile_.local.l0a_bytes / kBuffers;
    const int64_t b_l0 = l0 * profile_.local.l0b_bytes / kBuffers;
    out_.wait(Pipe::kCube, Pipe::kMte1, l0);
    Instruction& a =
        out_.load_a(a_l0, what.a_l1 + at / k0 * a_fractal, what.m, count);
    a.type = type;
    a.row_stride = static_cast<uint64_t>(a_fractal);
    const int64_t first =
        what.b_transposed ? at * kBeatBytes : at / k0 * what.b_pitch;
    Instruction& b = out_.load_b(b_l0, what.b_l1 + first, what.n, count);
    b.type = type;
    b.rearranging = true;
    b.transpose = what.b_transposed;
    b.row_stride = static_cast<uint64_t>(what.b_pitch);
    out_.set(Pipe::kMte1, Pipe::kCube, l0);
    out_.wait(Pipe::kMte1, Pipe::kCube, l0);
    Instruction& mmad = out_.mmad(what.l0c, what.m, what.n, count);
    mmad.type = type;
    mmad.src = static_cast<uint64_t>(a_l0);
    mmad.src2 = static_cast<uint64_t>(b_l0);
    mmad.accumulate = what.accumulate || at > 0;
    out_.set(Pipe::kCube, Pipe::kMte1, l0);
  }
}

int64_t AttentionEmitter::take_slot() {
  const int64_t slot = slots_++ % plan_.num_slots;
  out_.wait(exit(), Pipe::kCube, slot);
  return slot;
}

void AttentionEmitter::fill_slot(int64_t slot) {
  out_.set(Pipe::kCube, exit(), slot);
  out_.wait(Pipe::kCube, exit(), slot);
}

// A slot to GM: the rows of each vector core.
void AttentionEmitter::hand_over(const KeyTile& tile, int64_t slot,
                                 const Rectangle& all, int64_t n) {
  int64_t row = 0;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    const int64_t rows = lane_rows(tile, sibling);
    if (rows == 0) continue;
    Rectangle target = all;
    target.address += static_cast<uint64_t>(row * all.row_stride);
    target.rows = rows;
    target.row_bytes = n * kFloatBytes;
    Instruction& fixpipe = out_.fixpipe(
        slot * plan_.slot_bytes() + row * kFractalRows * kFloatBytes, rows, n,
        target);
    fixpipe.type = plan_.is_integer() ? Type::kS32 : Type::kF32;
    fixpipe.k = static_cast<uint32_t>(round_up(tile.work->rows, kFractalRows));
    row += rows;
  }
  out_.set(Pipe::kFixpipe, Pipe::kCube, slot);
}

void AttentionEmitter::drain(const KeyTile& tile, int64_t slot, int64_t ub,
                             int64_t n, int64_t columns) {
  out_.drain(ub, slot * plan_.slot_bytes(), tile.work->rows, n).pitch =
      static_cast<uint32_t>(round_up(columns * kFloatBytes, kBeatBytes));
  out_.set(Pipe::kVector, Pipe::kCube, slot);
}

// Keys [key, key + keys) of the tile against all columns of K.
void AttentionEmitter::score_chunk(const KeyTile& tile, int64_t key,
                                   int64_t keys) {
  const int64_t k0 = fractal_k(plan_.cube);
  const int64_t qk_dim = plan_.attention.qk_dim;
  const int64_t slot = take_slot();
  if (plan_.keeps_cache()) {
    product({0, wide_place(tile, CachePart::kKeys) + key * kBeatBytes,
             slot * plan_.slot_bytes(), tile.work->rows, keys, qk_dim, false,
             false, packet_pitch(tile.keys)});
  }
  for (int64_t dim = plan_.keeps_cache() ? qk_dim : 0; dim < qk_dim;
       dim += plan_.packet_dims()) {
    const int64_t dims = std::min(plan_.packet_dims(), qk_dim - dim);
    load_packet(tile, CachePart::kKeys, {key, keys, dim, dims});
    product({dim / k0 * fractal_bytes(tile.work->rows, k0, plan_.cube),
             packet_place(), slot * plan_.slot_bytes(), tile.work->rows, keys,
             dims, dim > 0, false, packet_pitch(keys)});
    free_packet();
  }
  fill_slot(slot);
  if (is_unified()) {
    drain(tile, slot, score_ub(0) + key * kFloatBytes, keys, tile.keys);
    return;
  }
  Rectangle all = between(0, tile, 0, 0, tile.keys * kFloatBytes);
  all.address += static_cast<uint64_t>(key * kFloatBytes);
  hand_over(tile, slot, all, keys);
}

void AttentionEmitter::scores(const KeyTile& tile) {
  if (tile.is_first) query(tile);
  if (widens_ahead()) take_wide(tile, CachePart::kKeys);
  if (is_unified() && !tile.is_maximum) {
    out_.wait(Pipe::kMte3, Pipe::kVector, kPieceFlag);
  }
  // Of maxima nothing comes back that says that a place is free.
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    if (is_unified() || !tile.is_maximum || tile.index < plan_.num_places()) {
      break;
    }
    out_.wait_sibling(Pipe::kMte2, Pipe::kFixpipe, kPlaceFlag, sibling);
  }
  for (int64_t key = 0; key < tile.keys; key += plan_.chunk_keys) {
    score_chunk(tile, key, std::min(plan_.chunk_keys, tile.keys - key));
  }
  if (widens_ahead() && !plan_.attention.v_in_k) {
    free_wide(tile, CachePart::kKeys);
  }
  if (tile.is_last) out_.set(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
  if (is_unified()) return;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.set_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, sibling);
  }
}

// Columns [column, column + n) of the tile's sums to the vector cores.
void AttentionEmitter::hand_over_sums(const KeyTile& tile, int64_t column,
                                      int64_t n, int64_t slot) {
  if (is_unified()) {
    drain(tile, slot, incoming_ub(), n, n);
    rescale(tile, tile.work->rows, column, n);
    return;
  }
  Rectangle all = between(2, tile, 0, 0, plan_.attention.v_dim * kFloatBytes);
  all.address += static_cast<uint64_t>(column * kFloatBytes);
  hand_over(tile, slot, all, n);
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.set_sibling(Pipe::kFixpipe, Pipe::kMte2, kSumFlag, sibling);
  }
}

// The weights against columns [column, column + n) of V, all keys of the tile.
void AttentionEmitter::value_block(const KeyTile& tile, int64_t column,
                                   int64_t n) {
  const int64_t k0 = fractal_k(plan_.cube);
  const int64_t slot = take_slot();
  if (plan_.keeps_cache()) {
    if (column == 0) load_weights(tile);
    const int64_t pitch = packet_pitch(tile.keys);
    product({weight_place(tile.index),
             wide_place(tile, value_part()) + column / k0 * pitch,
             slot * plan_.slot_bytes(), tile.work->rows, n, tile.keys, false,
             true, pitch});
  }
  for (int64_t key = plan_.keeps_cache() ? tile.keys : 0; key < tile.keys;
       key += plan_.packet_keys()) {
    const int64_t keys = std::min(plan_.packet_keys(), tile.keys - key);
    load_packet(tile, value_part(), {key, keys, column, n});
    // V goes first, so that it is on its way while the weights are not there.
    if (column == 0 && key == 0) load_weights(tile);
    product({weight_place(tile.index) +
                 key / k0 * fractal_bytes(tile.work->rows, k0, plan_.cube),
             packet_place(), slot * plan_.slot_bytes(), tile.work->rows, n,
             keys, key > 0, true, packet_pitch(keys)});
    free_packet();
  }
  fill_slot(slot);
  hand_over_sums(tile, column, n, slot);
}

void AttentionEmitter::values(const KeyTile& tile) {
  const int64_t v_dim = plan_.attention.v_dim;
  const bool in_keys = plan_.attention.v_in_k;
  if (widens_ahead() && !in_keys) take_wide(tile, CachePart::kValues);
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    value_block(tile, column, std::min(plan_.value_columns, v_dim - column));
  }
  if (widens_ahead()) free_wide(tile, value_part());
  out_.set(Pipe::kMte1, is_unified() ? Pipe::kMte3 : Pipe::kMte2,
           kWeightFlag + tile.index % kBuffers);
}

}  // namespace tessera::npu
