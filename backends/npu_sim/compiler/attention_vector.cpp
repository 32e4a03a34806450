// SPDX-License-Identifier: Apache-2.0
//
// The vector core's side: scores become weights a few rows at a time, and sums
// are brought to the newest maximum.

#include <algorithm>

#include "backends/npu_sim/compiler/attention_emitter.hpp"
#include "backends/npu_sim/compiler/attention_flags.hpp"
#include "backends/npu_sim/compiler/attention_lowering.hpp"
#include "backends/npu_sim/compiler/gemm_layout.hpp"
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

int64_t AttentionEmitter::incoming_ub() const {
  return plan_.sums_in_gm
             ? sums_ub()
             : round_up(sums_ub() + plan_.lane_rows_most() *
                                        plan_.attention.v_dim * kFloatBytes,
                        kBeatBytes);
}

void AttentionEmitter::vector_passes(int64_t at, int64_t elements,
                                     int64_t count) {
  const double rate = profile_.vector.bytes_per_cycle / kFloatBytes;
  for (int64_t i = 0; i < count; ++i) {
    out_.vector(at, elements, rate).type = Type::kF32;
  }
}

void AttentionEmitter::take_scores(const KeyTile& tile, int64_t row,
                                   int64_t rows, int64_t buffer) {
  out_.wait(Pipe::kMte3, Pipe::kMte2, kPieceFlag + buffer);
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
    out_.set(Pipe::kMte3, Pipe::kMte1, weights);
    out_.set(Pipe::kMte3, Pipe::kVector, kPieceFlag);
    return;
  }
  out_.copy_out(ub, between(1, tile, row, rows, row_bytes));
  out_.set(Pipe::kMte3, Pipe::kMte2, kPieceFlag + buffer);
}

void AttentionEmitter::softmax(const KeyTile& tile, int64_t sibling) {
  const int64_t all = lane_rows(tile, sibling);
  const int64_t first = sibling == 2 ? tile.work->rows - all : 0;
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  if (!is_unified()) {
    out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, 0);
  }
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const int64_t rows = std::min(plan_.softmax_rows, all - row);
    const int64_t buffer = is_unified() || is_single ? 0 : pieces_++ % kBuffers;
    if (!is_unified()) take_scores(tile, first + row, rows, buffer);
    const int64_t elements = rows * tile.keys;
    vector_passes(score_ub(buffer), elements, kSoftmaxPasses);
    out_.vector(score_ub(buffer), elements, profile_.vector.special_elements)
        .type = Type::kF32;
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
  const bool reads = !plan_.sums_in_gm || tile.is_last;
  for (int64_t column = 0; reads && column < v_dim;
       column += plan_.value_columns) {
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
    if (rows > 0) vector_passes(incoming_ub(), rows * n, kUpdatePasses);
    if (tile.is_last && plan_.sums_in_gm) {
      write_result(tile, row, rows, column, n);
    }
    out_.set(Pipe::kVector, Pipe::kMte2, kIncomingFlag);
  }
  if (tile.is_last && !plan_.sums_in_gm) {
    write_result(tile, row, rows, 0, v_dim);
  }
}

// The last division, and the result on its way.
void AttentionEmitter::write_result(const KeyTile& tile, int64_t row,
                                    int64_t rows, int64_t column, int64_t n) {
  if (rows == 0) return;
  const Attention& attention = plan_.attention;
  const bool is_split = plan_.num_splits > 1;
  const int64_t element = is_split ? 4 : 2;
  const int64_t stride = attention.v_dim * element;
  const int64_t ub = plan_.sums_in_gm ? incoming_ub() : sums_ub();
  out_.wait(Pipe::kMte3, Pipe::kVector, kResultFlag);
  vector_passes(ub, rows * n, 1);
  out_.set(Pipe::kVector, Pipe::kMte3, kResultFlag);
  out_.wait(Pipe::kVector, Pipe::kMte3, kResultFlag);
  const int64_t head =
      tile.work->sequence * attention.num_kv_heads + tile.work->kv_head;
  out_.copy_out(
      ub, {gm_address(is_split ? Tensor::kPartials : Tensor::kOutput,
                      (head * 65536 + tile.work->split * 4096 + tile.work->row +
                       row) * stride +
                          column * element),
           rows, n * element, stride});
  out_.set(Pipe::kMte3, Pipe::kVector, kResultFlag);
}

}  // namespace tessera::npu
