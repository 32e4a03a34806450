// SPDX-License-Identifier: Apache-2.0
//
// What integer attention (fa3) needs besides: the maxima of whole rows, which
// all cores find first, and marks of rows of queries that are not finite.

#include <algorithm>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"

namespace tessera::npu {

int64_t AttentionEmitter::marks_ub() const {
  return spare_ub() + kMostSplits * plan_.state_bytes();
}

void AttentionEmitter::maxima(const KeyTile& tile, int64_t sibling) {
  const int64_t all = lane_rows(tile, sibling);
  const int64_t first = sibling == 2 ? tile.work->rows - all : 0;
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  // Those of the work before have left.
  if (tile.is_first && all > 0) {
    out_.wait(Pipe::kMte3, Pipe::kVector, kResultFlag);
  }
  if (!is_unified()) {
    out_.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, kScoreFlag, 0);
  }
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const int64_t rows = std::min(plan_.softmax_rows, all - row);
    const int64_t buffer = is_unified() || is_single ? 0 : pieces_++ % kBuffers;
    if (!is_unified()) {
      take_scores(tile, first + row, rows, buffer, Pipe::kVector);
    }
    see_rows(tile, first + row, row,
             vector_passes(VectorFunction::kRowMaxima, score_ub(buffer), rows,
                           tile.keys, kMaximumPasses));
    if (!is_unified()) {
      out_.set(Pipe::kVector, Pipe::kMte2, kPieceFlag + buffer);
    }
  }
  if (!is_unified() && tile.index + plan_.num_places() < tile.count) {
    out_.set_sibling(Pipe::kMte2, Pipe::kFixpipe, kPlaceFlag, 0);
  }
  if (tile.is_last && all > 0) write_maxima(tile, first, all);
}

void AttentionEmitter::write_maxima(const KeyTile& tile, int64_t row,
                                    int64_t rows) {
  const int64_t place = tile.work->split * plan_.num_rows() +
                        plan_.first_row(*tile.work) + tile.work->row + row;
  out_.set(Pipe::kVector, Pipe::kMte3, kResultFlag);
  out_.wait(Pipe::kVector, Pipe::kMte3, kResultFlag);
  out_.copy_out(maxima_ub(tile),
                {gm_address(Tensor::kScales, place * kFloatBytes), 1,
                 rows * kFloatBytes, rows * kFloatBytes});
  out_.set(Pipe::kMte3, Pipe::kVector, kResultFlag);
}

// The maxima of all splits of the rows as one.
void AttentionEmitter::join_maxima(const KeyTile& tile, int64_t row,
                                   int64_t rows) {
  const int64_t first = plan_.first_row(*tile.work) + tile.work->row + row;
  out_.wait(Pipe::kVector, Pipe::kMte2, kMaximaFlag);
  for (int64_t split = 0; split < tile.work->num_splits; ++split) {
    const int64_t place = split * plan_.num_rows() + first;
    out_.copy_in(Space::kUb, spare_ub() + split * plan_.state_bytes(),
                 {gm_address(Tensor::kScales, place * kFloatBytes), 1,
                  rows * kFloatBytes, rows * kFloatBytes});
  }
  out_.set(Pipe::kMte2, Pipe::kVector, kMaximaFlag);
  out_.wait(Pipe::kMte2, Pipe::kVector, kMaximaFlag);
  Instruction& one = vector_passes(VectorFunction::kJoinMaxima, maxima_ub(tile),
                                   tile.work->num_splits, rows, 1);
  one.src = static_cast<uint64_t>(spare_ub());
  one.inputs = static_cast<uint32_t>(plan_.state_bytes());
  out_.set(Pipe::kVector, Pipe::kMte2, kMaximaFlag);
}

void AttentionEmitter::load_marks(const KeyTile& tile, int64_t row,
                                  int64_t rows) {
  const int64_t first = tile.work->row + row;
  out_.wait(Pipe::kVector, Pipe::kMte2, kMarkFlag);
  for (const RowRun& run : row_runs(plan_, *tile.work, first, rows)) {
    out_.copy_in(Space::kUb, marks_ub() + (run.row - first) * kBeatBytes,
                 {gm_address(Tensor::kMarks, run.place * kBeatBytes), run.rows,
                  kBeatBytes, run.stride * kBeatBytes});
  }
  out_.set(Pipe::kMte2, Pipe::kVector, kMarkFlag);
  out_.wait(Pipe::kMte2, Pipe::kVector, kMarkFlag);
}

}  // namespace tessera::npu
