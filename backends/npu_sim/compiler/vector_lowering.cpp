// SPDX-License-Identifier: Apache-2.0
//
// What each kind of row op costs in vector instructions, and how its rows come
// to the vector cores.

#include "backends/npu_sim/compiler/vector_lowering.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backends/npu_sim/compiler/rows/cache_append.hpp"
#include "backends/npu_sim/compiler/rows/embedding.hpp"
#include "backends/npu_sim/compiler/rows/long_rows.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 36;

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, why);
}

void check_type(const Profile& profile, const char* name, Type type) {
  if (type == Type::kBf16 && !profile.cube.bf16) {
    refuse(std::string(name) + ": " + profile.name +
           " has no bf16; f16 would work");
  }
  if (type != Type::kF16 && type != Type::kBf16 && type != Type::kF32) {
    refuse(std::string(name) + ": " + name_of(type) +
           " is not computed; f16, bf16 and f32 are");
  }
}

// Vector instructions over every element in 32 bit, how many of them at the
// rate of exp, and inputs besides the first.
struct SmallCost {
  double passes;
  double special_passes;
  int64_t inputs;
  VectorFunction function;
  bool takes_rows;  // whole, if they fit
};

constexpr std::array<SmallCost, kNumSmallKinds> kSmallCosts = {{
    // rms_norm: square, sum, scale, weight
    {4, 0, 1, VectorFunction::kRmsNorm, true},
    // layer_norm: mean and variance, then as rms_norm
    {6, 0, 1, VectorFunction::kLayerNorm, true},
    // rope: two products, a sum, a shuffle
    {4, 0, 1, VectorFunction::kRotate, true},
    // softmax: maximum, subtract, sum, scale
    {4, 1, 1, VectorFunction::kSoftmaxRows, true},
    // silu_mul: exp, divide
    {3, 2, 2, VectorFunction::kSiluMul, false},
    // gelu: a polynomial and exp
    {5, 1, 1, VectorFunction::kGelu, false},
    {1, 0, 2, VectorFunction::kAdd, false},
    {1, 0, 1, VectorFunction::kCast, false},  // embedding
}};

// A row of UB by itself: a head, or all columns.
int64_t row_of(const SmallOp& op) {
  if (op.kind != SmallKind::kRope || op.head_dim == 0) return op.columns;
  if (op.head_dim < 0 || op.columns % op.head_dim != 0) {
    refuse("rope: heads of " + std::to_string(op.head_dim) +
           " do not fill rows of " + std::to_string(op.columns));
  }
  return op.head_dim;
}

Pass pass_of(const Profile& profile, const SmallOp& op) {
  const SmallCost& cost = kSmallCosts.at(static_cast<size_t>(op.kind));
  Pass pass;
  pass.elements = op.rows * op.columns;
  pass.num_inputs = cost.inputs;
  pass.in = op.type;
  pass.out = op.out;
  pass.passes = cost.passes;
  pass.special_passes = cost.special_passes;
  pass.elements_per_cycle = profile.vector.bytes_per_cycle / 4;
  pass.function = cost.function;
  if (cost.takes_rows) {
    pass.row_elements = row_of(op);
    pass.row_scale_bits = 0;
  }
  return pass;
}

// A stream of vector cores that have no one to wait for.
Stream lane_stream(int64_t lanes,
                   std::function<void(int64_t lane, Emitter&)> emit) {
  Stream stream;
  stream.label = "vector";
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Stream::Core core;
    core.has_vector = true;
    core.group = lane;
    core.num_sections = 1;
    stream.cores.push_back(core);
  }
  stream.emit = [emit = std::move(emit)](int64_t core, int64_t,
                                         std::vector<Instruction>& out) {
    Emitter emitter(out);
    emit(core, emitter);
  };
  return stream;
}

}  // namespace

void check_shape(const char* name, int64_t rows, int64_t columns) {
  if (rows <= 0 || columns <= 0 || rows > kMostElements / columns) {
    refuse(std::string(name) + " " + std::to_string(rows) + " x " +
           std::to_string(columns) +
           ": each side must be above 0, together at most 2^36 elements");
  }
}

int64_t choose_cores(const Profile& profile, const char* name, int64_t wanted,
                     int64_t there) {
  if (wanted < 0 || wanted > there) {
    refuse(std::string(name) + ": cores " + std::to_string(wanted) + " of " +
           std::to_string(there) + " on " + profile.name);
  }
  return wanted > 0 ? wanted : there;
}

VectorPlan plan_vector(const Profile& profile, const VectorOp& op) {
  check_shape("vector", op.rows, op.columns);
  if (op.num_inputs < 1 || op.num_inputs > 8) {
    refuse("vector: " + std::to_string(op.num_inputs) +
           " inputs are outside 1 to 8");
  }
  check_type(profile, "vector", op.type);
  VectorPlan plan;
  plan.lanes = choose_cores(profile, "vector", op.cores, profile.vector_cores);
  Pass& pass = plan.pass;
  pass.elements = op.rows * op.columns;
  pass.num_inputs = op.num_inputs;
  pass.in = op.type;
  pass.out = op.type;
  pass.conflicts = op.bank_conflicts;
  pass.elements_per_cycle = profile.vector.bytes_per_cycle * 8 /
                            static_cast<double>(bits_of(pass.in));
  pass.passes = static_cast<double>(std::max<int64_t>(1, op.num_inputs - 1));
  pass.function = VectorFunction::kAdd;
  return plan;
}

VectorPlan plan_small(const Profile& profile, const SmallOp& op) {
  check_shape("op", op.rows, op.columns);
  // An embedding only moves its table: bf16 widens by a shift on any chip.
  if (op.kind != SmallKind::kEmbedding) {
    check_type(profile, name_of(op.kind), op.type);
    check_type(profile, name_of(op.kind), op.out);
  }
  VectorPlan plan;
  plan.lanes = choose_cores(profile, "op", op.cores, profile.vector_cores);
  plan.pass = pass_of(profile, op);
  plan.small = op;
  if (op.kind == SmallKind::kEmbedding) {
    plan.way = RowWay::kIndexed;
  } else if (plan.pass.row_elements > 0 && !fits_rows(profile, plan.pass) &&
             op.kind != SmallKind::kRope) {
    plan.way = RowWay::kParts;
  }
  return plan;
}

Stream lower_vector(const Profile& profile, const VectorPlan& plan) {
  return lane_stream(plan.lanes, [profile, plan](int64_t lane, Emitter& emit) {
    switch (plan.way) {
      case RowWay::kParts:
        return emit_long_rows(profile, plan.small, lane, plan.lanes, emit);
      case RowWay::kIndexed:
        return emit_embedding(profile, plan.small, lane, plan.lanes, emit);
      case RowWay::kPass:
        return emit_pass(profile, plan.pass, lane, plan.lanes, emit);
    }
  });
}

double vector_cycles(const Profile& profile, const VectorPlan& plan) {
  switch (plan.way) {
    case RowWay::kParts:
      return long_row_cycles(profile, plan.small, plan.lanes);
    case RowWay::kIndexed:
      return embedding_cycles(profile, plan.small, plan.lanes);
    case RowWay::kPass:
      break;
  }
  return pass_cycles(profile, plan.pass, plan.lanes);
}

Stream lower_cache_append(const Profile& profile, const CacheAppend& op) {
  const int64_t lanes = append_lanes(profile, op);
  // Refuses what no lane could do.
  cache_append_cycles(profile, op, lanes);
  return lane_stream(lanes, [profile, op, lanes](int64_t lane, Emitter& emit) {
    emit_cache_append(profile, op, lane, lanes, emit);
  });
}

int64_t append_lanes(const Profile& profile, const CacheAppend& op) {
  return choose_cores(profile, "kv_append", op.cores, profile.vector_cores);
}

}  // namespace tessera::npu
