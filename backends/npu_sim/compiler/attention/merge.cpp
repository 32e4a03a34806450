// SPDX-License-Identifier: Apache-2.0
//
// A few rows of one sequence and KV head at a time.

#include "backends/npu_sim/compiler/attention/merge.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

// Both ways between pipes: whole pieces, then what comes in.
constexpr int64_t kMergedFlag = 4;
constexpr int64_t kComingFlag = 6;
constexpr int64_t kMergePasses = 3;  // rescale both, add
constexpr int64_t kMostPieceRows = 64;

// Sums of some rows in UB, with their maxima and sums of weights.
struct PieceLayout {
  int64_t rows = 0;
  int64_t pitch = 0;
  int64_t state_bytes = 0;
  bool has_marks = false;
  int64_t bytes() const {
    return marks() + (has_marks ? rows * kBeatBytes : 0);
  }
  int64_t maxima() const { return rows * pitch; }
  int64_t marks() const { return maxima() + 2 * state_bytes; }
};

PieceLayout piece_layout(const Profile& profile, const AttentionPlan& plan) {
  PieceLayout layout;
  layout.pitch = round_up(plan.attention.v_dim * kFloatBytes, kBeatBytes);
  layout.has_marks = plan.is_integer();
  const int64_t lanes = plan.cores * plan.num_lanes;
  layout.rows = std::clamp<int64_t>(plan.num_rows() / lanes, 1, kMostPieceRows);
  do {
    layout.state_bytes = round_up(layout.rows * kFloatBytes, kBeatBytes);
    if (2 * kBuffers * layout.bytes() <= profile.local.ub_bytes) break;
    layout.rows /= 2;
  } while (layout.rows > 0);
  return layout;
}

class Merge {
 public:
  Merge(const Profile& profile, const AttentionPlan& plan, Emitter& out)
      : profile_(profile),
        plan_(plan),
        layout_(piece_layout(profile, plan)),
        out_(out) {}

  void prime();
  void finish();
  int64_t rows() const { return layout_.rows; }
  void piece(const AttentionWork& work, int64_t row, int64_t rows);

 private:
  void load(int64_t split, int64_t row, int64_t rows, int64_t at);
  void merge(int64_t split, int64_t row, int64_t rows, int64_t at);
  Instruction& passes(VectorFunction function, int64_t at, int64_t rows,
                      int64_t count);

  const Profile& profile_;
  const AttentionPlan& plan_;
  PieceLayout layout_;
  Emitter& out_;
  int64_t pieces_ = 0;
  int64_t coming_ = 0;
};

void Merge::prime() {
  for (int64_t b = 0; b < kBuffers; ++b) {
    out_.set(Pipe::kMte3, Pipe::kMte2, kMergedFlag + b);
    out_.set(Pipe::kVector, Pipe::kMte2, kComingFlag + b);
  }
}

void Merge::finish() {
  for (int64_t b = 0; b < kBuffers; ++b) {
    out_.wait(Pipe::kMte3, Pipe::kMte2, kMergedFlag + b);
    out_.wait(Pipe::kVector, Pipe::kMte2, kComingFlag + b);
  }
}

// Rows from number `row` of all stacked ones.
void Merge::load(int64_t split, int64_t row, int64_t rows, int64_t at) {
  const int64_t row_bytes = plan_.attention.v_dim * kFloatBytes;
  const int64_t place = split * plan_.num_rows() + row;
  out_.copy_in(Space::kUb, at,
               {gm_address(Tensor::kPartials, place * row_bytes), rows,
                row_bytes, row_bytes});
  for (int64_t kind = plan_.is_integer() ? 1 : 0; kind < 2; ++kind) {
    const int64_t first = kind * plan_.num_splits * plan_.num_rows() + place;
    out_.copy_in(Space::kUb, at + layout_.maxima() + kind * layout_.state_bytes,
                 {gm_address(Tensor::kScales, first * kFloatBytes), 1,
                  rows * kFloatBytes, rows * kFloatBytes});
  }
}

Instruction& Merge::passes(VectorFunction function, int64_t at, int64_t rows,
                           int64_t count) {
  const int64_t n = plan_.attention.v_dim;
  for (int64_t i = 0; i < count; ++i) {
    Instruction& one = out_.vector(
        at, rows * n, profile_.vector.bytes_per_cycle / kFloatBytes);
    one.m = static_cast<uint32_t>(rows);
    one.n = static_cast<uint32_t>(n);
    one.type = plan_.is_integer() ? Type::kS32 : Type::kF32;
    one.out_type = plan_.result_type();
    one.inputs = static_cast<uint32_t>(layout_.pitch);
    one.function = i == 0 ? function : VectorFunction::kPart;
  }
  return out_.back(count);
}

void Merge::merge(int64_t split, int64_t row, int64_t rows, int64_t at) {
  const int64_t buffer = coming_++ % kBuffers;
  const int64_t from = (kBuffers + buffer) * layout_.bytes();
  out_.wait(Pipe::kVector, Pipe::kMte2, kComingFlag + buffer);
  load(split, row, rows, from);
  out_.set(Pipe::kMte2, Pipe::kVector, kComingFlag + buffer);
  out_.wait(Pipe::kMte2, Pipe::kVector, kComingFlag + buffer);
  Instruction& one = passes(VectorFunction::kMerge, at, rows, kMergePasses);
  one.src = static_cast<uint64_t>(from);
  one.src2 = static_cast<uint64_t>(at + layout_.maxima());
  one.k = static_cast<uint32_t>(layout_.state_bytes);
  one.scales = static_cast<uint32_t>(from + layout_.maxima());
  out_.set(Pipe::kVector, Pipe::kMte2, kComingFlag + buffer);
}

void Merge::piece(const AttentionWork& work, int64_t row, int64_t rows) {
  const int64_t buffer = pieces_++ % kBuffers;
  const int64_t at = buffer * layout_.bytes();
  const int64_t flag = kMergedFlag + buffer;
  const int64_t first = plan_.first_row(work) + row;
  out_.wait(Pipe::kMte3, Pipe::kMte2, flag);
  load(0, first, rows, at);
  for (const RowRun& run : row_runs(plan_, work, row, rows)) {
    if (!layout_.has_marks) break;
    out_.copy_in(Space::kUb,
                 at + layout_.marks() + (run.row - row) * kBeatBytes,
                 {gm_address(Tensor::kMarks, run.place * kBeatBytes), run.rows,
                  kBeatBytes, run.stride * kBeatBytes});
  }
  out_.set(Pipe::kMte2, Pipe::kVector, flag);
  out_.wait(Pipe::kMte2, Pipe::kVector, flag);
  const int64_t splits = plan_.splits_at(work.sequence, row);
  for (int64_t split = 1; split < splits; ++split) {
    merge(split, first, rows, at);
  }
  Instruction& one = passes(VectorFunction::kDivide, at, rows, 1);
  one.scales =
      static_cast<uint32_t>(at + layout_.maxima() + layout_.state_bytes);
  one.src2 = static_cast<uint64_t>(at + layout_.marks());
  one.k = static_cast<uint32_t>(work.kv_head);
  out_.set(Pipe::kVector, Pipe::kMte3, flag);
  out_.wait(Pipe::kVector, Pipe::kMte3, flag);
  const int64_t row_bytes =
      bytes_of_elements(plan_.result_type(), plan_.attention.v_dim);
  for (const RowRun& run : row_runs(plan_, work, row, rows)) {
    out_.copy_out(at + (run.row - row) * round_up(row_bytes, kBeatBytes),
                  {gm_address(Tensor::kOutput, run.place * row_bytes), run.rows,
                   row_bytes, run.stride * row_bytes});
  }
  out_.set(Pipe::kMte3, Pipe::kMte2, flag);
}

}  // namespace

void emit_merge(const Profile& profile, const AttentionPlan& plan, int64_t lane,
                int64_t num_lanes, Emitter& out) {
  Merge merge(profile, plan, out);
  merge.prime();
  int64_t count = 0;
  const Attention& attention = plan.attention;
  for (size_t s = 0; s < attention.q_lens.size(); ++s) {
    for (int64_t head = 0; head < attention.num_kv_heads; ++head) {
      AttentionWork work;
      work.sequence = static_cast<int64_t>(s);
      work.kv_head = head;
      const int64_t total = attention.q_lens[s] * plan.group();
      // Rows of a piece have the same splits.
      int64_t rows = 0;
      for (int64_t row = 0; row < total; row += rows, ++count) {
        rows = std::min(
            {merge.rows(), total - row, plan.tile_rows - row % plan.tile_rows});
        if (count % num_lanes == lane) merge.piece(work, row, rows);
      }
    }
  }
  merge.finish();
}

double merge_cycles(const Profile& profile, const AttentionPlan& plan) {
  if (plan.num_splits == 1) return 0;
  const auto real = [](int64_t value) { return static_cast<double>(value); };
  const PieceLayout layout = piece_layout(profile, plan);
  const double rows = real(layout.rows);
  const double splits = real(plan.num_splits);
  double pieces = 0;
  for (const int64_t length : plan.attention.q_lens) {
    pieces += real(plan.attention.num_kv_heads) *
              std::ceil(real(length * plan.group()) / rows);
  }
  const double rate =
      profile.global.l2_read_rate * profile.assumptions.l2_core_factor;
  const double read = splits * (std::max(rows * real(layout.pitch) / rate,
                                         profile.global.dma_issue_cycles) +
                                2 * profile.global.dma_issue_cycles);
  const double pass =
      rows * real(layout.pitch) / profile.vector.bytes_per_cycle +
      profile.vector.issue_cycles;
  const double vector = ((splits - 1) * real(kMergePasses) + 1) * pass;
  const double once = read + vector + profile.assumptions.l2_latency_cycles +
                      profile.vector.latency_cycles;
  const double steps = std::ceil(pieces / real(plan.cores * plan.num_lanes));
  return once + (steps - 1) * std::max({read, vector, once / kBuffers}) +
         profile.global.write_latency_cycles;
}

}  // namespace tessera::npu
