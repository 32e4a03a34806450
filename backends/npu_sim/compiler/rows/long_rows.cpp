// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/compiler/rows/long_rows.hpp"

#include <algorithm>
#include <vector>

#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/rows/lane_steps.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/row_state.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kMostOperandBytes = 65280;  // 255 repeats of 256 bytes
constexpr int64_t kLineBytes = 512;

// One visit to all parts of a row.
struct Visit {
  VectorFunction function;
  double passes;
  double special_passes;
  bool has_result;
};

std::vector<Visit> visits_of(SmallKind kind) {
  switch (kind) {
    case SmallKind::kRmsNorm:
      // square, sum; scale, weight
      return {{VectorFunction::kRowSquares, 2, 0, false},
              {VectorFunction::kRmsNormPart, 2, 0, true}};
    case SmallKind::kLayerNorm:
      // sum; subtract, square, sum; subtract, scale, weight
      return {{VectorFunction::kRowValues, 1, 0, false},
              {VectorFunction::kRowDeviations, 3, 0, false},
              {VectorFunction::kLayerNormPart, 3, 0, true}};
    default:
      // scale, maximum; scale, subtract, exp, sum; the same and divide
      return {{VectorFunction::kRowMaximum, 2, 0, false},
              {VectorFunction::kRowExponentials, 3, 1, false},
              {VectorFunction::kSoftmaxPart, 3, 1, true}};
  }
}

struct Cut {
  int64_t part = 0;  // elements of a row in UB at a time
  int64_t in_bytes = 0;
  int64_t out_bytes = 0;
};

Cut cut_of(const Profile& profile, const SmallOp& op) {
  const int64_t bits = bits_of(op.type) + bits_of(op.out);
  const int64_t room = profile.local.ub_bytes - kRowStateBytes;
  const int64_t most =
      kMostOperandBytes * 8 / std::max(bits_of(op.type), bits_of(op.out));
  // Parts begin where lines do, and where sums do.
  Cut cut;
  cut.part = std::min(room * 8 / LaneSteps::kBuffers / bits, most) /
             kLineBytes * kLineBytes;
  cut.in_bytes = cut.part * bits_of(op.type) / 8;
  cut.out_bytes = cut.part * bits_of(op.out) / 8;
  return cut;
}

Rectangle part_of(Tensor tensor, int64_t first, int64_t count, Type type) {
  const int64_t bytes = count * bits_of(type) / 8;
  return {gm_address(tensor, first * bits_of(type) / 8), 1, bytes, bytes};
}

class LongRows {
 public:
  LongRows(const Profile& profile, const SmallOp& op, Emitter& emit)
      : profile_(profile),
        op_(op),
        cut_(cut_of(profile, op)),
        emit_(emit),
        steps_(emit, kRowStateBytes, cut_.in_bytes, cut_.out_bytes) {}

  void visit(const Visit& visit, int64_t row);
  void finish() { steps_.finish(); }

 private:
  void compute(const Visit& visit, int64_t column, int64_t count);

  const Profile& profile_;
  const SmallOp& op_;
  Cut cut_;
  Emitter& emit_;
  LaneSteps steps_;
};

void LongRows::compute(const Visit& visit, int64_t column, int64_t count) {
  const double rate = profile_.vector.bytes_per_cycle / 4;
  Instruction& one = emit_.vector(
      visit.has_result ? steps_.result() : steps_.input(), count, rate);
  one.function = visit.function;
  one.src = static_cast<uint64_t>(steps_.input());
  one.src2 = static_cast<uint64_t>(column);
  one.type = op_.type;
  one.out_type = visit.has_result ? op_.out : op_.type;
  one.k = static_cast<uint32_t>(op_.columns);
  one.accumulate = column > 0;
  emit_.further_passes(visit.passes - 1, rate, false);
  emit_.further_passes(visit.special_passes, profile_.vector.special_elements,
                       false);
}

void LongRows::visit(const Visit& visit, int64_t row) {
  for (int64_t at = 0; at < op_.columns; at += cut_.part) {
    const int64_t count = std::min(cut_.part, op_.columns - at);
    const int64_t first = row * op_.columns + at;
    steps_.begin_reading();
    emit_.copy_in(Space::kUb, steps_.input(),
                  part_of(Tensor::kInput, first, count, op_.type));
    steps_.begin_computing(visit.has_result);
    compute(visit, at, count);
    steps_.end_computing(visit.has_result);
    if (!visit.has_result) continue;
    emit_.copy_out(steps_.result(),
                   part_of(Tensor::kOutput, first, count, op_.out));
    steps_.end_storing();
  }
}

}  // namespace

void emit_long_rows(const Profile& profile, const SmallOp& op, int64_t lane,
                    int64_t num_lanes, Emitter& emit) {
  const int64_t share = ceil_div(op.rows, num_lanes);
  const int64_t begin = std::min(op.rows, lane * share);
  const int64_t end = std::min(op.rows, begin + share);
  if (begin == end) return;
  LongRows rows(profile, op, emit);
  for (int64_t row = begin; row < end; ++row) {
    for (const Visit& visit : visits_of(op.kind)) rows.visit(visit, row);
  }
  rows.finish();
}

double long_row_cycles(const Profile& profile, const SmallOp& op,
                       int64_t num_lanes) {
  const Cut cut = cut_of(profile, op);
  const int64_t share = ceil_div(op.rows, num_lanes);
  const auto lanes = static_cast<double>(ceil_div(op.rows, share));
  const auto columns = static_cast<double>(op.columns);
  const double parts = static_cast<double>(ceil_div(op.columns, cut.part));
  const double in_bytes = columns * static_cast<double>(bits_of(op.type)) / 8;
  const double out_bytes = columns * static_cast<double>(bits_of(op.out)) / 8;
  const GlobalMemory& global = profile.global;
  const double l2_rate =
      global.l2_read_rate * profile.assumptions.l2_core_factor;
  const double miss_rate = global.dram_core_rate > 0
                               ? std::min(global.dram_core_rate, l2_rate)
                               : l2_rate;
  const double write =
      out_bytes / std::min(profile.vector.ub_to_gm_rate, global.l2_write_rate);
  // Later visits find what L2 has kept of the rows that all lanes are at.
  const double missing =
      1 -
      kept_share(in_bytes * lanes, static_cast<double>(global.l2_bytes) *
                                       profile.assumptions.l2_capacity_share);
  double cycles = 0;
  bool is_first = true;
  for (const Visit& visit : visits_of(op.kind)) {
    const double misses = is_first ? 1 : missing;
    is_first = false;
    const double read =
        std::max(in_bytes * (misses / miss_rate + (1 - misses) / l2_rate),
                 in_bytes * misses * lanes / profile.dram_rate());
    const double compute =
        visit.passes * (columns * 4 / profile.vector.bytes_per_cycle +
                        parts * profile.vector.issue_cycles) +
        visit.special_passes * (columns / profile.vector.special_elements +
                                parts * profile.vector.issue_cycles);
    cycles += std::max({read, compute, visit.has_result ? write : 0});
  }
  return static_cast<double>(share) * cycles + in_bytes / parts / miss_rate +
         global.read_latency_cycles + write / parts +
         global.write_latency_cycles;
}

}  // namespace tessera::npu
