// SPDX-License-Identifier: Apache-2.0
//
// The vector core's side: scores become weights a few rows at a time, and sums
// are brought to the newest maximum.

#include <algorithm>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {

int64_t AttentionEmitter::score_ub(int64_t buffer) const {
  return buffer *
         round_up(plan_.softmax_rows * plan_.tile_keys * (kFloatBytes + 2),
                  kBeatBytes);
}

int64_t AttentionEmitter::sums_ub() const {
  return score_ub(plan_.softmax_rows < plan_.lane_rows_most() ? kBuffers : 1);
}

int64_t AttentionEmitter::sums_pitch() const {
  return round_up(plan_.attention.v_dim * kFloatBytes, kBeatBytes);
}

int64_t AttentionEmitter::incoming_ub() const {
  return sums_ub() + plan_.lane_rows_most() * sums_pitch();
}

// The last key of the tile that the sequence's first token sees.
int64_t AttentionEmitter::last_key(const KeyTile& tile) const {
  const auto sequence = static_cast<size_t>(tile.work->sequence);
  const Attention& attention = plan_.attention;
  return attention.seq_lens[sequence] - attention.q_lens[sequence] - tile.begin;
}

int64_t AttentionEmitter::maxima_ub(const KeyTile& tile) const {
  const int64_t first =
      round_up(incoming_ub() + plan_.lane_rows_most() *
                                   round_up(plan_.value_columns, kFractalRows) *
                                   kFloatBytes,
               kBeatBytes);
  return first + tile.order % plan_.num_states() * 2 * plan_.state_bytes();
}

int64_t AttentionEmitter::factors_ub(const KeyTile& tile) const {
  KeyTile none = tile;
  none.order = 0;
  return maxima_ub(none) +
         (2 * plan_.num_states() + tile.index % plan_.num_places()) *
             plan_.state_bytes();
}

int64_t AttentionEmitter::spare_ub() const {
  KeyTile none;
  return maxima_ub(none) +
         (2 * plan_.num_states() + plan_.num_places()) * plan_.state_bytes();
}

// `count` instructions over [m, n]; the first says what they do.
Instruction& AttentionEmitter::vector_passes(VectorFunction function,
                                             int64_t at, int64_t m, int64_t n,
                                             int64_t count) {
  const double rate = profile_.vector.bytes_per_cycle / kFloatBytes;
  for (int64_t i = 0; i < count; ++i) {
    Instruction& one = out_.vector(at, m * n, rate);
    one.m = static_cast<uint32_t>(m);
    one.n = static_cast<uint32_t>(n);
    one.type = plan_.is_integer() ? Type::kS32 : Type::kF32;
    one.out_type = plan_.cube;
    one.function = i == 0 ? function : VectorFunction::kPart;
  }
  return out_.back(count);
}

// Brings the sums of columns [column, column + n) to the newest maximum.
void AttentionEmitter::rescale(const KeyTile& tile, int64_t rows,
                               int64_t column, int64_t n) {
  // The result of the work before has left.
  if (tile.is_first && column == 0) {
    out_.wait(Pipe::kMte3, Pipe::kVector, kResultFlag);
  }
  Instruction& one =
      vector_passes(VectorFunction::kRescale, incoming_ub(), rows, n,
                    plan_.is_integer() ? 1 : kUpdatePasses);
  one.dst = static_cast<uint64_t>(sums_ub() + column * kFloatBytes);
  one.inputs = static_cast<uint32_t>(sums_pitch());
  one.scales = static_cast<uint32_t>(factors_ub(tile));
  one.accumulate = !tile.is_first;
}

void AttentionEmitter::take_scores(const KeyTile& tile, int64_t row,
                                   int64_t rows, int64_t buffer, Pipe frees) {
  out_.wait(frees, Pipe::kMte2, kPieceFlag + buffer);
  out_.copy_in(Space::kUb, score_ub(buffer),
               between(0, tile, row, rows, tile.keys * kFloatBytes));
  out_.set(Pipe::kMte2, Pipe::kVector, kPieceFlag + buffer);
  out_.wait(Pipe::kMte2, Pipe::kVector, kPieceFlag + buffer);
}

void AttentionEmitter::give_weights(const KeyTile& tile, int64_t row,
                                    int64_t rows, int64_t buffer) {
  const int64_t row_bytes = bytes_of_elements(plan_.cube, tile.keys);
  const int64_t ub = score_ub(buffer);
  out_.set(Pipe::kVector, Pipe::kMte3, kPieceFlag + buffer);
  out_.wait(Pipe::kVector, Pipe::kMte3, kPieceFlag + buffer);
  if (is_unified()) {
    const int64_t weights = kWeightFlag + tile.index % kBuffers;
    out_.wait(Pipe::kMte1, Pipe::kMte3, weights);
    Instruction& copy =
        out_.copy_out(ub, {static_cast<uint64_t>(weight_place(tile.index)),
                           rows, row_bytes, row_bytes});
    copy.dst_space = Space::kL1;
    copy.nd_to_nz = true;
    copy.pitch = static_cast<uint32_t>(packet_pitch(tile.work->rows));
    out_.set(Pipe::kMte3, Pipe::kMte1, weights);
    out_.set(Pipe::kMte3, Pipe::kVector, kPieceFlag);
    return;
  }
  out_.copy_out(ub, between(1, tile, row, rows, row_bytes));
  out_.set(Pipe::kMte3, Pipe::kMte2, kPieceFlag + buffer);
}

// Row `row` of the work is the first; it is number `in_lane` of this core.
void AttentionEmitter::see_rows(const KeyTile& tile, int64_t row,
                                int64_t in_lane, Instruction& one) const {
  one.accumulate = !tile.is_first;
  one.src2 = static_cast<uint64_t>(maxima_ub(tile) + in_lane * kFloatBytes);
  one.k = static_cast<uint32_t>(plan_.state_bytes());
  one.scales = static_cast<uint32_t>(factors_ub(tile) + in_lane * kFloatBytes);
  one.inputs = static_cast<uint32_t>(tile.work->kv_head * plan_.group());
  one.row_bytes = static_cast<uint32_t>(tile.work->row + row);
  one.row_stride = static_cast<uint64_t>(last_key(tile));
}

void AttentionEmitter::softmax(const KeyTile& tile, int64_t sibling) {
  const int64_t all = lane_rows(tile, sibling);
  const int64_t first = sibling == 2 ? tile.work->rows - all : 0;
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  if (!is_unified()) {
    out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, 0);
  }
  if (plan_.is_integer() && tile.is_first && all > 0) {
    join_maxima(tile, first, all);
  }
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const int64_t rows = std::min(plan_.softmax_rows, all - row);
    const int64_t buffer = is_unified() || is_single ? 0 : pieces_++ % kBuffers;
    if (!is_unified()) {
      take_scores(tile, first + row, rows, buffer, Pipe::kMte3);
    }
    const int64_t ub = score_ub(buffer);
    see_rows(tile, first + row, row,
             plan_.is_integer()
                 ? vector_passes(VectorFunction::kWeightCodes, ub, rows,
                                 tile.keys, kCodePasses)
                 : vector_passes(VectorFunction::kSoftmax, ub, rows, tile.keys,
                                 kSoftmaxPasses));
    Instruction& exponent =
        out_.vector(ub, rows * tile.keys, profile_.vector.special_elements);
    exponent.type = Type::kF32;
    exponent.function = VectorFunction::kPart;
    give_weights(tile, first + row, rows, buffer);
  }
  if (!is_unified()) {
    out_.set_sibling(Pipe::kMte3, Pipe::kMte2, kWeightFlag, 0);
  }
}

// What the cube core handed over, a few columns at a time.
void AttentionEmitter::update(const KeyTile& tile, int64_t sibling) {
  const int64_t v_dim = plan_.attention.v_dim;
  const int64_t rows = lane_rows(tile, sibling);
  const int64_t row = sibling == 2 ? tile.work->rows - rows : 0;
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    const int64_t n = std::min(plan_.value_columns, v_dim - column);
    out_.wait(Pipe::kVector, Pipe::kMte2, kIncomingFlag);
    out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kSumFlag, 0);
    if (rows > 0) {
      Rectangle source = between(2, tile, row, rows, v_dim * kFloatBytes);
      source.address += static_cast<uint64_t>(column * kFloatBytes);
      source.row_bytes = n * kFloatBytes;
      out_.copy_in(Space::kUb, incoming_ub(), source);
    }
    out_.set(Pipe::kMte2, Pipe::kVector, kIncomingFlag);
    out_.wait(Pipe::kMte2, Pipe::kVector, kIncomingFlag);
    if (rows > 0) rescale(tile, rows, column, n);
    out_.set(Pipe::kVector, Pipe::kMte2, kIncomingFlag);
  }
  if (tile.is_last) write_result(tile, row, rows);
}

// The last division, and the result on its way; or what a split is worth.
void AttentionEmitter::write_result(const KeyTile& tile, int64_t row,
                                    int64_t rows) {
  if (rows == 0) return;
  const int64_t v_dim = plan_.attention.v_dim;
  const bool takes_marks = plan_.is_integer() && plan_.num_splits == 1;
  if (takes_marks) load_marks(tile, row, rows);
  Instruction& one =
      vector_passes(VectorFunction::kDivide, sums_ub(), rows, v_dim, 1);
  one.out_type = plan_.result_type();
  one.inputs = static_cast<uint32_t>(sums_pitch());
  one.scales = static_cast<uint32_t>(maxima_ub(tile) + plan_.state_bytes());
  one.src2 = static_cast<uint64_t>(marks_ub());
  one.k = static_cast<uint32_t>(tile.work->kv_head);
  if (plan_.num_splits > 1) one.function = VectorFunction::kPart;
  if (takes_marks) out_.set(Pipe::kVector, Pipe::kMte2, kMarkFlag);
  out_.set(Pipe::kVector, Pipe::kMte3, kResultFlag);
  out_.wait(Pipe::kVector, Pipe::kMte3, kResultFlag);
  if (plan_.num_splits > 1) {
    write_partial(tile, row, rows);
  } else {
    const int64_t row_bytes = bytes_of_elements(plan_.result_type(), v_dim);
    const int64_t first = tile.work->row + row;
    for (const RowRun& run : row_runs(plan_, *tile.work, first, rows)) {
      out_.copy_out(
          sums_ub() + (run.row - first) * round_up(row_bytes, kBeatBytes),
          {gm_address(Tensor::kOutput, run.place * row_bytes), run.rows,
           row_bytes, run.stride * row_bytes});
    }
  }
  out_.set(Pipe::kMte3, Pipe::kVector, kResultFlag);
}

void AttentionEmitter::write_partial(const KeyTile& tile, int64_t row,
                                     int64_t rows) {
  const int64_t row_bytes = plan_.attention.v_dim * kFloatBytes;
  const int64_t place = tile.work->split * plan_.num_rows() +
                        plan_.first_row(*tile.work) + tile.work->row + row;
  out_.copy_out(sums_ub(), {gm_address(Tensor::kPartials, place * row_bytes),
                            rows, row_bytes, row_bytes});
  // Integer sums have one maximum already.
  for (int64_t kind = plan_.is_integer() ? 1 : 0; kind < 2; ++kind) {
    const int64_t at = kind * plan_.num_splits * plan_.num_rows() + place;
    out_.copy_out(maxima_ub(tile) + kind * plan_.state_bytes(),
                  {gm_address(Tensor::kScales, at * kFloatBytes), 1,
                   rows * kFloatBytes, rows * kFloatBytes});
  }
}

}  // namespace tessera::npu
