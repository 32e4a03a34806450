// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/compiler/rows/embedding.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/rows/lane_steps.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kLineBytes = 512;
constexpr int64_t kMostIndices = 2048;  // that a lane reads at a time
constexpr int64_t kIndexBytes = 4 * kMostIndices;
constexpr int64_t kMostOperandBytes = 65280;  // 255 repeats of 256 bytes
constexpr int64_t kMostRowBytes = int64_t{1} << 31;

int64_t bytes_of(Type type, int64_t elements) {
  return elements * bits_of(type) / 8;
}

// Whole rows, as many as fit, or parts of one.
struct Cut {
  int64_t share = 0;  // rows of a lane
  int64_t rows = 0;   // of a step
  int64_t columns = 0;
  int64_t in_pitch = 0;  // of rows in UB
  int64_t out_pitch = 0;
};

Cut cut_of(const Profile& profile, const SmallOp& op, int64_t num_lanes) {
  if (op.columns > kMostRowBytes / 4) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "embedding: rows of " + std::to_string(op.columns) +
                         " values are 2^31 bytes or more");
  }
  const int64_t room =
      (profile.local.ub_bytes - kIndexBytes) / LaneSteps::kBuffers;
  const auto pitch = [](Type type, int64_t columns) {
    return round_up(bytes_of(type, columns), kBeatBytes);
  };
  Cut cut;
  cut.share = ceil_div(op.rows, num_lanes);
  cut.columns = op.columns;
  if (pitch(op.type, op.columns) + pitch(op.out, op.columns) > room ||
      op.columns > kMostOperandBytes / 4) {
    cut.columns = std::min(room * 8 / (bits_of(op.type) + bits_of(op.out)),
                           kMostOperandBytes / 4) /
                  kLineBytes * kLineBytes;
  }
  cut.in_pitch = pitch(op.type, cut.columns);
  cut.out_pitch = pitch(op.out, cut.columns);
  const int64_t most =
      std::min(room / (cut.in_pitch + cut.out_pitch),
               kMostOperandBytes / std::max(cut.in_pitch, cut.out_pitch));
  cut.rows = std::clamp<int64_t>(ceil_div(cut.share, LaneSteps::kBuffers), 1,
                                 std::max<int64_t>(1, most));
  return cut;
}

// Rows and columns of the result that one step makes.
struct Part {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t column = 0;
  int64_t columns = 0;
};

// Row `row` of the result, from its row of the table.
Instruction& read_row(const SmallOp& op, const Part& part, int64_t row,
                      int64_t place, Emitter& emit) {
  const int64_t bytes = bytes_of(op.type, part.columns);
  Instruction& one =
      emit.copy_in(Space::kUb, place,
                   {gm_address(Tensor::kInput, bytes_of(op.type, part.column)),
                    1, bytes, bytes});
  one.indirection = {static_cast<uint32_t>(row), 1, 0,
                     static_cast<uint32_t>(bytes_of(op.type, op.columns))};
  return one;
}

Instruction& write_rows(const SmallOp& op, const Part& part, int64_t place,
                        Emitter& emit) {
  const int64_t first = part.row * op.columns + part.column;
  return emit.copy_out(
      place, {gm_address(Tensor::kOutput, bytes_of(op.out, first)), part.rows,
              bytes_of(op.out, part.columns), bytes_of(op.out, op.columns)});
}

void cast_rows(const Profile& profile, const SmallOp& op, const Part& part,
               const LaneSteps& steps, Emitter& emit) {
  Instruction& one = emit.vector(steps.result(), part.columns,
                                 profile.vector.bytes_per_cycle / 4);
  one.function = VectorFunction::kCast;
  one.src = static_cast<uint64_t>(steps.input());
  one.m = static_cast<uint32_t>(part.rows);
  one.type = op.type;
  one.out_type = op.out;
}

void emit_part(const Profile& profile, const SmallOp& op, const Cut& cut,
               const Part& part, LaneSteps& steps, Emitter& emit) {
  steps.begin_reading();
  for (int64_t i = 0; i < part.rows; ++i) {
    read_row(op, part, part.row + i, steps.input() + i * cut.in_pitch, emit);
  }
  steps.begin_computing(true);
  cast_rows(profile, op, part, steps, emit);
  steps.end_computing(true);
  write_rows(op, part, steps.result(), emit);
  steps.end_storing();
}

}  // namespace

void emit_embedding(const Profile& profile, const SmallOp& op, int64_t lane,
                    int64_t num_lanes, Emitter& emit) {
  const Cut cut = cut_of(profile, op, num_lanes);
  const int64_t begin = std::min(op.rows, lane * cut.share);
  const int64_t end = std::min(op.rows, begin + cut.share);
  if (begin == end) return;
  LaneSteps steps(emit, kIndexBytes, cut.rows * cut.in_pitch,
                  cut.rows * cut.out_pitch);
  for (int64_t known = begin; known < end; known += kMostIndices) {
    const int64_t last = std::min(end, known + kMostIndices);
    read_indices(0, known, last - known, emit);
    for (int64_t row = known; row < last; row += cut.rows) {
      for (int64_t column = 0; column < op.columns; column += cut.columns) {
        emit_part(profile, op, cut,
                  {row, std::min(cut.rows, last - row), column,
                   std::min(cut.columns, op.columns - column)},
                  steps, emit);
      }
    }
  }
  steps.finish();
}

double embedding_cycles(const Profile& profile, const SmallOp& op,
                        int64_t num_lanes) {
  const Cut cut = cut_of(profile, op, num_lanes);
  const auto lanes = static_cast<double>(ceil_div(op.rows, cut.share));
  const auto rows = static_cast<double>(std::min(cut.share, op.rows));
  const auto parts = static_cast<double>(ceil_div(op.columns, cut.columns));
  const Part part{1, cut.rows, 0, cut.columns};
  std::vector<Instruction> made;
  Emitter emit(made);
  const TransferCost in =
      transfer_cost_of(profile, read_row(op, part, part.row, 0, emit));
  const TransferCost out =
      transfer_cost_of(profile, write_rows(op, part, 0, emit));
  const double in_rate = std::min(
      in.miss_rate > 0 ? std::min(in.miss_rate, in.hit_rate) : in.hit_rate,
      profile.dram_rate() / lanes);
  const double steps = std::ceil(rows / static_cast<double>(cut.rows)) * parts;
  LaneTimes times;
  times.read = rows * parts * std::max(in.bytes / in_rate, in.least_cycles);
  times.compute = rows * static_cast<double>(op.columns) * 4 /
                      profile.vector.bytes_per_cycle +
                  steps * profile.vector.issue_cycles;
  times.write =
      rows / static_cast<double>(cut.rows) * parts * out.bytes / out.hit_rate;
  // The numbers of rows come first.
  const double known = std::ceil(rows / static_cast<double>(kMostIndices));
  return known * profile.global.read_latency_cycles + rows +
         streamed_cycles(profile, times, steps, LaneSteps::kBuffers);
}

}  // namespace tessera::npu
