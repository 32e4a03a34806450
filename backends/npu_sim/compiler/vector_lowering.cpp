// SPDX-License-Identifier: Apache-2.0
//
// What each kind of row op costs in vector instructions, and streams of them.

#include "backends/npu_sim/compiler/vector_lowering.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 36;

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, why);
}

// Vector instructions over every element in 32 bit, how many of them at the
// rate of exp, and inputs besides the first.
struct SmallCost {
  double passes;
  double special_passes;
  int64_t inputs;
  VectorFunction function;  // kNone: timed only
  bool takes_rows;          // whole, if they fit
};

constexpr std::array<SmallCost, 9> kSmallCosts = {{
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
    // kv_append: scale, cast
    {2, 0, 1, VectorFunction::kNone, false},
    {1, 0, 1, VectorFunction::kNone, false},  // embedding
}};

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
  VectorPlan plan;
  plan.lanes = choose_cores(profile, "vector", op.cores, profile.vector_cores);
  Pass& pass = plan.pass;
  pass.elements = op.rows * op.columns;
  pass.num_inputs = op.num_inputs;
  pass.in = op.type;
  pass.out = op.type;
  pass.conflicts = op.bank_conflicts;
  const double full =
      profile.vector.bytes_per_cycle * 8 /
      static_cast<double>(std::max<int64_t>(bits_of(pass.in), 16));
  switch (op.kind) {
    case VectorKind::kAdd:
      pass.elements_per_cycle = full;
      pass.passes =
          static_cast<double>(std::max<int64_t>(1, op.num_inputs - 1));
      pass.function = VectorFunction::kAdd;
      break;
    case VectorKind::kMul:
      pass.elements_per_cycle = full;
      break;
    case VectorKind::kExp:
      pass.elements_per_cycle = profile.vector.special_elements;
      break;
    case VectorKind::kCast:
      pass.elements_per_cycle = profile.vector.bytes_per_cycle / 4;
      break;
    case VectorKind::kReduce:
      pass.elements_per_cycle = full / 7;
      break;
  }
  return plan;
}

VectorPlan plan_small(const Profile& profile, const SmallOp& op) {
  check_shape("op", op.rows, op.columns);
  VectorPlan plan;
  plan.lanes = choose_cores(profile, "op", op.cores, profile.vector_cores);
  const SmallCost& cost = kSmallCosts.at(static_cast<size_t>(op.kind));
  Pass& pass = plan.pass;
  pass.elements = op.rows * op.columns;
  pass.num_inputs = cost.inputs;
  pass.in = op.type;
  pass.out = op.out;
  pass.passes = cost.passes;
  pass.special_passes = cost.special_passes;
  pass.elements_per_cycle = profile.vector.bytes_per_cycle / 4;
  pass.function = cost.function;
  if (!cost.takes_rows) return plan;
  pass.row_elements = op.columns;
  pass.row_scale_bits = 0;
  // A longer row takes several cores or visits, which is timed only.
  if (!fits_rows(profile, pass)) {
    pass.row_elements = 0;
    pass.function = VectorFunction::kNone;
  }
  return plan;
}

Stream lower_vector(const Profile& profile, const VectorPlan& plan) {
  Stream stream;
  stream.label = "vector";
  for (int64_t lane = 0; lane < plan.lanes; ++lane) {
    Stream::Core core;
    core.has_vector = true;
    core.group = lane;
    core.num_sections = 1;
    stream.cores.push_back(core);
  }
  const auto kept =
      std::make_shared<const std::pair<Profile, VectorPlan>>(profile, plan);
  stream.emit = [kept](int64_t core, int64_t, std::vector<Instruction>& out) {
    Emitter emitter(out);
    emit_pass(kept->first, kept->second.pass, core, kept->second.lanes,
              emitter);
  };
  return stream;
}

}  // namespace tessera::npu
