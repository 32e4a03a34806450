// SPDX-License-Identifier: Apache-2.0
//
// A piece of a row of the output at a time: its partial sums come in one after
// another, in ascending k.

#include "backends/npu_sim/compiler/gemm/reduce.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kBuffers = 2;
constexpr int64_t kFloatBytes = 4;
constexpr int64_t kScaleBytes = 32;  // one, at a beat
constexpr int64_t kMostColumns = 8192;
constexpr int64_t kFewestColumns = 128;
// Of sums that come in; the whole pieces have the first two.
constexpr int64_t kIncomingFlag = 2;

struct Pieces {
  int64_t columns = 0;  // of one
  int64_t per_row = 0;
  int64_t count = 0;
  int64_t buffer_bytes = 0;
};

int64_t input_bytes(const GemmPlan& plan) {
  return bits_of(plan.gemm.out) / 8 * plan.kind.vector_inputs;
}

// Of `N` columns.
Pieces pieces_of(const Profile& profile, const GemmPlan& plan, int64_t N,
                 int64_t num_lanes) {
  const int64_t M = plan.gemm.M;
  const int64_t bytes = 2 * kFloatBytes + input_bytes(plan);
  const int64_t fit = (profile.local.ub_bytes / kBuffers - kScaleBytes) /
                      bytes / kFewestColumns * kFewestColumns;
  Pieces pieces;
  pieces.columns =
      std::clamp(round_up(ceil_div(M * N, num_lanes), kFewestColumns),
                 kFewestColumns, std::min(fit, kMostColumns));
  pieces.per_row = ceil_div(N, pieces.columns);
  pieces.count = M * pieces.per_row;
  pieces.buffer_bytes =
      pieces.columns * (kFloatBytes + input_bytes(plan)) + kScaleBytes;
  return pieces;
}

class Reduce {
 public:
  Reduce(const GemmContext& context, const WeightSlice& slice,
         const Pieces& pieces, Emitter& out)
      : context_(context), slice_(slice), pieces_(pieces), out_(out) {}

  void prime() {
    for (int64_t b = 0; b < kBuffers; ++b) {
      out_.set(Pipe::kMte3, Pipe::kMte2, b);
      out_.set(Pipe::kVector, Pipe::kMte2, kIncomingFlag + b);
    }
  }
  void finish() {
    for (int64_t b = 0; b < kBuffers; ++b) {
      out_.wait(Pipe::kMte3, Pipe::kMte2, b);
      out_.wait(Pipe::kVector, Pipe::kMte2, kIncomingFlag + b);
    }
  }
  void piece(int64_t index);

 private:
  void add_partial(const TileWork& work, int64_t split, int64_t to);

  const GemmContext& context_;
  const WeightSlice& slice_;
  const Pieces& pieces_;
  Emitter& out_;
  int64_t pieces_done_ = 0;
  int64_t partials_done_ = 0;
};

void Reduce::add_partial(const TileWork& work, int64_t split, int64_t to) {
  const int64_t buffer = partials_done_++ % kBuffers;
  const int64_t flag = kIncomingFlag + buffer;
  const int64_t at =
      kBuffers * pieces_.buffer_bytes + buffer * pieces_.columns * kFloatBytes;
  TileWork part = work;
  part.split = split;
  out_.wait(Pipe::kVector, Pipe::kMte2, flag);
  out_.copy_in(Space::kUb, at,
               output_rectangle(context_.plan, part, 0, 1, Type::kF32));
  out_.set(Pipe::kMte2, Pipe::kVector, flag);
  out_.wait(Pipe::kMte2, Pipe::kVector, flag);
  Instruction& add = out_.vector(
      to, work.n, context_.profile.vector.bytes_per_cycle / kFloatBytes);
  add.src = static_cast<uint64_t>(at);
  add.type = sum_type(context_.plan);
  add.function = VectorFunction::kAccumulate;
  out_.set(Pipe::kVector, Pipe::kMte2, flag);
}

void Reduce::piece(int64_t index) {
  const GemmPlan& plan = context_.plan;
  TileWork work;
  work.row = index / pieces_.per_row;
  work.m = 1;
  const int64_t column = index % pieces_.per_row * pieces_.columns;
  work.column = slice_.first_column + column;
  work.n = std::min(pieces_.columns, slice_.columns - column);
  work.slice_column = slice_.first_column;
  const int64_t buffer = pieces_done_++ % kBuffers;
  const int64_t at = buffer * pieces_.buffer_bytes;
  const int64_t inputs = at + pieces_.columns * kFloatBytes;
  const int64_t scales = at + pieces_.buffer_bytes - kScaleBytes;
  const Rectangle target = result_rectangle(plan, work);
  out_.wait(Pipe::kMte3, Pipe::kMte2, buffer);
  out_.copy_in(Space::kUb, at, output_rectangle(plan, work, 0, 1, Type::kF32));
  emit_other_inputs(context_, target, inputs, out_);
  if (plan.kind.per_token) emit_row_scales(work, 0, 1, scales, out_);
  out_.set(Pipe::kMte2, Pipe::kVector, buffer);
  out_.wait(Pipe::kMte2, Pipe::kVector, buffer);
  for (int64_t split = 1; split < num_splits(plan); ++split) {
    add_partial(work, split, at);
  }
  emit_finish(context_, {at, 1, work.n, work.column, inputs, scales}, out_);
  out_.set(Pipe::kVector, Pipe::kMte3, buffer);
  out_.wait(Pipe::kVector, Pipe::kMte3, buffer);
  out_.copy_out(at, target);
  out_.set(Pipe::kMte3, Pipe::kMte2, buffer);
}

}  // namespace

void emit_reduce(const GemmContext& context, const WeightSlice& slice,
                 int64_t lane, int64_t num_lanes, Emitter& out) {
  const Pieces pieces =
      pieces_of(context.profile, context.plan, slice.columns, num_lanes);
  Reduce reduce(context, slice, pieces, out);
  reduce.prime();
  for (int64_t i = lane; i < pieces.count; i += num_lanes) reduce.piece(i);
  reduce.finish();
}

double reduce_cycles(const Profile& profile, const GemmPlan& plan) {
  if (plan.tiling.split_k == 1) return 0;
  const int64_t lanes = plan.cores * (profile.unified_cores ? 1 : 2);
  const Pieces pieces = pieces_of(profile, plan, plan.gemm.N, lanes);
  const auto real = [](int64_t value) { return static_cast<double>(value); };
  const double columns = real(std::min(pieces.columns, plan.gemm.N));
  const double splits = real(num_splits(plan));
  const double rate =
      profile.global.l2_read_rate * profile.assumptions.l2_core_factor;
  const double read = splits * std::max(columns * kFloatBytes / rate,
                                        profile.global.dma_issue_cycles) +
                      columns * real(input_bytes(plan)) / rate;
  const double one = columns / (profile.vector.bytes_per_cycle / kFloatBytes) +
                     profile.vector.issue_cycles;
  const double vector = (splits - 1 + real(plan.kind.vector_passes)) * one;
  const double write = std::max(
      columns * real(bits_of(plan.gemm.out)) / 8 / profile.vector.ub_to_gm_rate,
      profile.global.dma_issue_cycles);
  // With two buffers, half of the way through is exposed.
  // Further inputs come from DRAM.
  const double latency = input_bytes(plan) > 0
                             ? profile.global.read_latency_cycles
                             : profile.assumptions.l2_latency_cycles;
  const double once =
      read / splits + vector + write + latency + profile.vector.latency_cycles;
  const double steps = std::ceil(real(pieces.count) / real(lanes));
  return once + (steps - 1) * std::max({read, vector, write, once / kBuffers}) +
         profile.global.write_latency_cycles;
}

}  // namespace tessera::npu
