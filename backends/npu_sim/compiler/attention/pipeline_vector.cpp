// SPDX-License-Identifier: Apache-2.0
//
// The vector side: a core of its own, or a pipe of the same.

#include <algorithm>

#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/attention/pipeline.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr double kUbToL1Rate = 128;  // as costs.cpp
constexpr int64_t kColumnDims = 16;
constexpr int64_t kSplitTransfers = 3;  // sums, maxima, sums of weights
constexpr double kFlags = 2;            // about each thing done

double real(int64_t value) { return static_cast<double>(value); }

size_t place(int64_t index) { return static_cast<size_t>(index) % 8; }

}  // namespace

double AttentionPipeline::passes(double elements, int64_t count) const {
  return real(count) * (elements / (profile_.vector.bytes_per_cycle / 4) +
                        profile_.vector.issue_cycles);
}

void AttentionPipeline::vector(double count, double cycles, double ready) {
  Scalar& scalar = vector_scalar();
  vector_ = std::max({vector_, ready, scalar.held}) + cycles;
  vector_done_ =
      vector_ - profile_.vector.issue_cycles + profile_.vector.latency_cycles;
  scalar.issue(Scalar::kVector, count + kFlags, cycles / count, vector_);
}

// `count` transfers of MTE3 of the vector side, and the flags about them.
void AttentionPipeline::move_out(double count, double cycles, double ready) {
  Scalar& scalar = vector_scalar();
  mte3_ = std::max({mte3_, vector_done_, ready, scalar.held}) + cycles;
  scalar.issue(Scalar::kMte3, count + kFlags, cycles / count, mte3_);
}

// MTE2 of the vector side; when the data is there.
double AttentionPipeline::take_in(double count, const Arrival& each,
                                  double ready) {
  Scalar& scalar = vector_scalar();
  double& read = reader();
  read = std::max({read, ready, scalar.held}) + count * each.cycles;
  scalar.issue(Scalar::kMte2, count + kFlags, each.cycles, read);
  return read + each.latency;
}

// To GM, or to L1 of the same core.
double AttentionPipeline::copy_out(int64_t rows, double row_bytes,
                                   bool to_l1) const {
  const double bytes = real(rows) * row_bytes;
  const double rate =
      to_l1 ? kUbToL1Rate
            : std::min(profile_.vector.ub_to_gm_rate, write_rate_) /
                  write_penalty(profile_, row_bytes,
                                static_cast<uint64_t>(row_bytes), 0, rows > 1);
  return std::max(bytes / rate, profile_.global.dma_issue_cycles);
}

// Scores of some rows from GM, as soon as their place in UB is free.
double AttentionPipeline::take_scores(const TileOfKeys& tile, int64_t rows,
                                      double free) {
  const double row_bytes = real(tile.keys) * kFloatBytes;
  const Arrival one = transfer(rows, row_bytes, row_bytes, false);
  return take_in(1, one, std::max(free, scores_ready_.at(place(tile.index))));
}

void AttentionPipeline::row_maxima(const TileOfKeys& tile) {
  const int64_t all = lane_rows(tile.rows);
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const int64_t rows = std::min(plan_.softmax_rows, all - row);
    double& free = piece_free_.at(
        plan_.is_unified || is_single ? 0 : static_cast<size_t>(pieces_++ % 2));
    const double ready = plan_.is_unified ? 0 : take_scores(tile, rows, free);
    if (tile.is_first && row == 0) vector_ = std::max(vector_, result_free_);
    vector(kMaximumPasses, passes(real(rows * tile.keys), kMaximumPasses),
           ready);
    free = vector_done_;
  }
  scores_free_.at(place(tile.index)) = vector_mte2_ +
                                       profile_.assumptions.l2_latency_cycles +
                                       profile_.assumptions.cross_core_cycles;
  if (!tile.is_last) return;
  move_out(1, copy_out(1, real(all) * kFloatBytes, false), 0);
  result_free_ = mte3_;
}

// The maxima of all splits as one, before the first tile's codes.
void AttentionPipeline::join_maxima(int64_t rows) {
  const Arrival one = transfer(1, real(rows) * kFloatBytes, 0, false);
  vector(1, passes(real(plan_.num_splits * rows), 1),
         take_in(real(plan_.num_splits), one, 0));
}

void AttentionPipeline::softmax(const TileOfKeys& tile) {
  const int64_t all = lane_rows(tile.rows);
  const auto weight = static_cast<size_t>(tile.index % kBuffers);
  const double row_bytes = real(tile.keys * bits_of(plan_.cube)) / 8;
  const bool is_single = plan_.softmax_rows >= plan_.lane_rows_most();
  const int64_t count = plan_.is_integer() ? kCodePasses : kSoftmaxPasses;
  if (!plan_.is_unified) {
    vector_mte2_ = std::max(vector_mte2_, scores_ready_.at(place(tile.index)));
  }
  if (plan_.is_integer() && tile.is_first) join_maxima(all);
  for (int64_t row = 0; row < all; row += plan_.softmax_rows) {
    const int64_t rows = std::min(plan_.softmax_rows, all - row);
    const double elements = real(rows * tile.keys);
    const double cycles = passes(elements, count) +
                          elements / profile_.vector.special_elements +
                          profile_.vector.issue_cycles;
    if (plan_.is_unified) {
      vector(real(count + 1), cycles, 0);
      move_out(1, copy_out(rows, row_bytes, true), weight_free_.at(weight));
      piece_free_[0] = mte3_;
      continue;
    }
    double& free =
        piece_free_.at(is_single ? 0 : static_cast<size_t>(pieces_++ % 2));
    vector(real(count + 1), cycles, take_scores(tile, rows, free));
    move_out(1, copy_out(rows, row_bytes, false), 0);
    free = mte3_;
  }
  weights_ready_.at(place(tile.index)) =
      plan_.is_unified ? mte3_ : mte3_ + hop_;
}

// Sums are brought to the newest maximum.
void AttentionPipeline::rescale(const TileOfKeys& tile, int64_t elements,
                                double ready) {
  const int64_t count = plan_.is_integer() ? 1 : kUpdatePasses;
  vector(real(count), passes(real(elements), count),
         tile.is_first ? std::max(ready, result_free_) : ready);
}

void AttentionPipeline::update(const TileOfKeys& tile) {
  const int64_t v_dim = plan_.attention.v_dim;
  const int64_t rows = lane_rows(tile.rows);
  size_t block = 0;
  for (int64_t column = 0; column < v_dim; column += plan_.value_columns) {
    const int64_t n = std::min(plan_.value_columns, v_dim - column);
    const double ready =
        sums_ready_.at(place(tile.index)).at(block++ % kMostBlocks);
    const Arrival one =
        transfer(rows, real(n) * kFloatBytes, real(v_dim) * kFloatBytes, false);
    rescale(tile, rows * n, take_in(1, one, std::max(incoming_free_, ready)));
    incoming_free_ = vector_done_;
  }
}

// The last division, and the way out.
void AttentionPipeline::result(int64_t rows) {
  const int64_t group = plan_.group();
  const bool is_split = plan_.num_splits > 1;
  const int64_t run = group == 1 ? rows : std::min(group, rows);
  const int64_t runs = ceil_div(rows, run);
  double ready = 0;
  if (plan_.is_integer() && !is_split) {
    ready =
        take_in(real(runs), transfer(run, kBeatBytes, kBeatBytes, false), 0);
  }
  const int64_t v_dim = plan_.attention.v_dim;
  vector(1, passes(real(rows * v_dim), 1), ready);
  if (is_split) {
    move_out(real(kSplitTransfers),
             copy_out(rows, real(v_dim) * kFloatBytes, false) +
                 real(kSplitTransfers - 1) * profile_.global.dma_issue_cycles,
             0);
  } else {
    const double row_bytes = real(v_dim * bits_of(plan_.result_type())) / 8;
    const double bytes = spill_ * real(run) * row_bytes;
    const double own = copy_out(run, row_bytes, false);
    double cycles = 0;
    for (int64_t i = 0; i < runs; ++i) {
      use_dram(bytes);
      cycles += std::max(own, dram_cycles(bytes));
    }
    move_out(real(runs), cycles, 0);
  }
  result_free_ = mte3_;
}

// Codes and their scales, a transfer of each for every block of the cache;
// when they are there.
double AttentionPipeline::load_codes(const TileOfKeys& tile, int64_t columns,
                                     CachePart part, double free) {
  const Attention& attention = plan_.attention;
  const int64_t keys = tile.keys;
  const int64_t block = attention.block_size;
  const int64_t piece = std::min(block, keys);
  const double count = real(keys) / real(piece);
  const Arrival codes =
      cached(columns, real(piece * kColumnDims), real(block * kColumnDims),
             tile.fresh, part == CachePart::kKeys ? keys_ : values_);
  const bool by_token = attention.kv == KvType::kS8;
  const Arrival scales =
      transfer(1, real(by_token ? piece : columns * kColumnDims) * kFloatBytes,
               0, false);
  if (codes.latency > profile_.assumptions.l2_latency_cycles) {
    use_dram(real(keys * columns * kColumnDims));
  }
  const double ready = take_in(count, codes, free);
  take_in(by_token ? count : 1, scales, 0);
  return ready;
}

void AttentionPipeline::widen_step(const TileOfKeys& tile, int64_t columns,
                                   CachePart part) {
  const auto buffer = static_cast<size_t>(widenings_++ % plan_.widening_depth);
  const double ready =
      load_codes(tile, columns, part, widening_free_.at(buffer));
  const int64_t elements =
      columns * kColumnDims * round_up(tile.keys, kFractalRows);
  vector(kWidenPasses,
         real(elements) / (profile_.vector.bytes_per_cycle / 2) +
             profile_.vector.issue_cycles +
             passes(real(elements), kWidenPasses - 1),
         ready);
  move_out(1, copy_out(1, real(2 * elements), plan_.keeps_cache()), 0);
  widening_free_.at(buffer) = mte3_;
}

void AttentionPipeline::widen(const TileOfKeys& tile, CachePart part) {
  const bool is_key = part == CachePart::kKeys;
  const Attention& attention = plan_.attention;
  const int64_t all =
      ceil_div(is_key ? attention.qk_dim : attention.v_dim, kColumnDims);
  const int64_t columns = ceil_div(all, plan_.num_lanes);
  const size_t index = is_key ? 0 : 1;
  mte3_ = std::max(mte3_, wide_free_.at(index).at(
                              static_cast<size_t>(tile.index % places(part))));
  const int64_t most = plan_.widened_columns();
  for (int64_t at = 0; at < columns; at += most) {
    widen_step(tile, std::min(most, columns - at), part);
  }
  wide_ready_.at(index).at(place(tile.index)) =
      plan_.is_unified ? mte3_ : mte3_ + hop_;
}

}  // namespace tessera::npu
