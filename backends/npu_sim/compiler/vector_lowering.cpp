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

namespace {

struct CopyPlan {
  Copy copy;
  int64_t cores = 0;
  int64_t tiles_across = 0;
  int64_t tiles_per_core = 0;
  int64_t num_tiles = 0;
  int64_t slots = 0;  // tiles that fit the target
  int64_t tile_bytes = 0;
};

constexpr int64_t kTilesPerSection = 256;

CopyPlan plan_copy(const Profile& profile, const Copy& copy) {
  check_shape("copy", copy.rows, copy.columns);
  check_shape("copy tile", copy.tile_rows, copy.tile_columns);
  if (copy.repeats < 1 || copy.repeats > 10000) {
    refuse("copy: repeats " + std::to_string(copy.repeats) +
           " is outside 1 to 10000");
  }
  CopyPlan plan;
  plan.copy = copy;
  const bool to_ub = copy.target == CopyTarget::kUb;
  plan.cores = choose_cores(profile, "copy", copy.cores,
                            to_ub ? profile.vector_cores : profile.cube_cores);
  plan.tiles_across = ceil_div(copy.columns, copy.tile_columns);
  plan.num_tiles = plan.tiles_across * ceil_div(copy.rows, copy.tile_rows);
  plan.tiles_per_core = ceil_div(plan.num_tiles, plan.cores);
  const int64_t row_bytes =
      round_up((copy.tile_columns * bits_of(copy.type) + 7) / 8, 32);
  plan.tile_bytes = row_bytes * (copy.nd_to_nz ? round_up(copy.tile_rows, 16)
                                               : copy.tile_rows);
  const int64_t room = to_ub ? profile.local.ub_bytes : profile.local.l1_bytes;
  plan.slots = room / plan.tile_bytes;
  if (plan.slots == 0) {
    refuse("copy: a tile of " + std::to_string(plan.tile_bytes) +
           " bytes is beyond the " + std::to_string(room) + " bytes of " +
           (to_ub ? "ub" : "l1") + " on " + profile.name);
  }
  return plan;
}

Rectangle tile_rectangle(const Copy& copy, const CopyPlan& plan, int64_t tile) {
  const int64_t row = tile / plan.tiles_across * copy.tile_rows;
  const int64_t column = tile % plan.tiles_across * copy.tile_columns;
  const int64_t bits = bits_of(copy.type);
  const int64_t stride = (copy.columns * bits + 7) / 8;
  Rectangle rectangle;
  rectangle.address =
      gm_address(Tensor::kInput, row * stride + column * bits / 8);
  rectangle.rows = std::min(copy.tile_rows, copy.rows - row);
  rectangle.row_bytes =
      (std::min(copy.tile_columns, copy.columns - column) * bits + 7) / 8;
  rectangle.row_stride = stride;
  return rectangle;
}

void emit_copies(const CopyPlan& plan, int64_t core, int64_t section,
                 Emitter& out) {
  const Copy& copy = plan.copy;
  const int64_t begin = core * plan.tiles_per_core;
  const int64_t mine =
      std::clamp<int64_t>(plan.num_tiles - begin, 0, plan.tiles_per_core);
  const int64_t first = section * kTilesPerSection;
  const int64_t last = std::min(mine * copy.repeats, first + kTilesPerSection);
  for (int64_t i = first; i < last; ++i) {
    Instruction& one =
        out.copy_in(copy.target == CopyTarget::kUb ? Space::kUb : Space::kL1,
                    i % plan.slots * plan.tile_bytes,
                    tile_rectangle(copy, plan, begin + i % mine));
    one.nd_to_nz = copy.nd_to_nz;
    one.type = copy.type;
  }
}

}  // namespace

Stream lower_copy(const Profile& profile, const Copy& copy) {
  const auto plan = std::make_shared<const CopyPlan>(plan_copy(profile, copy));
  Stream stream;
  stream.label = "copy";
  for (int64_t i = 0; i < plan->cores; ++i) {
    Stream::Core core;
    core.has_vector = copy.target == CopyTarget::kUb;
    core.has_cube = !core.has_vector;
    core.group = i;
    core.num_sections =
        ceil_div(plan->tiles_per_core * copy.repeats, kTilesPerSection);
    stream.cores.push_back(core);
  }
  stream.emit = [plan](int64_t core, int64_t section,
                       std::vector<Instruction>& out) {
    Emitter emitter(out);
    emit_copies(*plan, core, section, emitter);
  };
  return stream;
}

double copy_cycles(const Profile& profile, const Copy& copy) {
  const CopyPlan plan = plan_copy(profile, copy);
  Instruction one;
  one.opcode = Opcode::kCopyIn;
  one.dst_space = copy.target == CopyTarget::kUb ? Space::kUb : Space::kL1;
  const Rectangle rectangle = tile_rectangle(copy, plan, 0);
  one.src = rectangle.address;
  one.m = static_cast<uint32_t>(rectangle.rows);
  one.row_bytes = static_cast<uint32_t>(rectangle.row_bytes);
  one.row_stride = static_cast<uint64_t>(rectangle.row_stride);
  one.nd_to_nz = copy.nd_to_nz;
  const double bytes =
      canonical_bytes_of(copy) / static_cast<double>(copy.repeats);
  const double whole =
      static_cast<double>(rectangle.rows * rectangle.row_bytes);
  return streamed_copy_cycles(
      profile, one,
      {plan.tiles_per_core, copy.repeats, bytes,
       bytes / (whole * static_cast<double>(plan.num_tiles))});
}

}  // namespace tessera::npu
