// SPDX-License-Identifier: Apache-2.0
//
// The small ops, which take each row or element by itself.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "framework/bench/timed/make_op.hpp"
#include "framework/bench/timed/random_values.hpp"
#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

constexpr float kEps = 1e-6f;
constexpr uint32_t kTableRows = 4096;  // of an embedding
constexpr uint32_t kOpsPerSubmission = 16;

struct RowKind {
  const char* name;
  uint32_t op;
  uint32_t inputs;         // of the shape of y
  uint32_t ops_per_value;  // about
};

constexpr RowKind kKinds[] = {
    {"add", TSR_OP_ADD, 2, 1},
    {"silu_mul", TSR_OP_SILU_MUL, 2, 4},
    {"gelu", TSR_OP_GELU, 1, 8},
    {"rms_norm", TSR_OP_RMS_NORM, 1, 4},
    {"layer_norm", TSR_OP_LAYER_NORM, 1, 7},
    {"softmax", TSR_OP_SOFTMAX, 1, 5},
    {"rope", TSR_OP_ROPE, 1, 3},
    {"embedding", TSR_OP_EMBEDDING, 0, 0},
};

struct RowFacts {
  const RowKind* kind = nullptr;
  uint32_t rows = 0;
  uint32_t columns = 0;
  uint32_t head_dim = 0;  // rope
  uint32_t dtype = 0;
  std::vector<float> a;
  std::vector<float> b;       // of add and silu_mul
  std::vector<float> weight;  // of norms
  std::vector<float> bias;    // of layer_norm
  std::vector<float> table;   // of rope and embedding
  std::vector<int32_t> ids;   // positions, or rows of the table

  size_t count() const { return size_t{rows} * columns; }
};

// The program of an op under construction.
class RowProgram {
 public:
  RowProgram(const RowFacts& facts, TimedOp& op) : facts_(facts), op_(op) {
    builder_.set_limits(facts.rows, 1, 1, 1);
  }

  Result<uint32_t> add(const tsr_tensor& tensor,
                       std::span<const std::byte> bytes) {
    TSR_ASSIGN_OR_RETURN(Buffer buffer, op_.submitter.upload(bytes));
    const uint32_t id = builder_.add_tensor(tensor);
    builder_.bind(id, buffer.id(), 0);
    op_.buffers.push_back(std::move(buffer));
    return id;
  }
  Result<uint32_t> add_rows(std::vector<float>& values) {
    return add(rows(), round_to_bytes(values, facts_.dtype));
  }
  Result<uint32_t> add_constant(const std::vector<float>& values,
                                std::initializer_list<tsr_dim> dims) {
    tsr_tensor tensor = blank(TSR_F32, dims);
    tensor.flags = TSR_TENSOR_CONSTANT;
    return add(tensor, std::as_bytes(std::span(values)));
  }
  Result<uint32_t> add_ids(uint32_t role, const std::vector<int32_t>& ids) {
    tsr_tensor tensor = blank(TSR_I32, {{facts_.rows, TSR_DIM_TOKENS}});
    tensor.role = role;
    return add(tensor, std::as_bytes(std::span(ids)));
  }
  template <typename Op>
  void repeat(const Op& op) {
    for (uint32_t i = 0; i < kOpsPerSubmission; ++i) builder_.add_op(op);
  }
  std::vector<std::byte> build() const { return builder_.build(); }

  tsr_tensor rows() const {
    if (facts_.kind->op == TSR_OP_ROPE) {
      return blank(facts_.dtype,
                   {{facts_.rows, TSR_DIM_TOKENS},
                    {facts_.columns / facts_.head_dim, TSR_DIM_FIXED},
                    {facts_.head_dim, TSR_DIM_FIXED}});
    }
    return blank(facts_.dtype, {{facts_.rows, TSR_DIM_TOKENS},
                                {facts_.columns, TSR_DIM_FIXED}});
  }

 private:
  static tsr_tensor blank(uint32_t dtype, std::initializer_list<tsr_dim> dims) {
    tsr_tensor tensor{};
    tensor.dtype = dtype;
    tensor.view_of = TSR_NONE;
    tensor.rank = static_cast<uint32_t>(dims.size());
    std::copy(dims.begin(), dims.end(), tensor.dims);
    return tensor;
  }

  const RowFacts& facts_;
  TimedOp& op_;
  ProgramBuilder builder_;
};

Status add_norm(RowFacts& facts, uint32_t y, RowProgram& program) {
  tsr_op_norm norm{};
  norm.op.kind = facts.kind->op;
  norm.y = y;
  norm.eps = kEps;
  norm.bias = TSR_NONE;
  TSR_ASSIGN_OR_RETURN(norm.x, program.add_rows(facts.a));
  const std::initializer_list<tsr_dim> dims = {{facts.columns, TSR_DIM_FIXED}};
  facts.weight = random_values(facts.columns, 5);
  TSR_ASSIGN_OR_RETURN(norm.weight, program.add_constant(facts.weight, dims));
  if (facts.kind->op == TSR_OP_LAYER_NORM) {
    facts.bias = random_values(facts.columns, 6);
    TSR_ASSIGN_OR_RETURN(norm.bias, program.add_constant(facts.bias, dims));
  }
  program.repeat(norm);
  return {};
}

Status add_rope(RowFacts& facts, uint32_t y, RowProgram& program) {
  tsr_op_rope rope{};
  rope.op.kind = TSR_OP_ROPE;
  rope.y = y;
  rope.style = TSR_ROPE_HALF;
  rope.rotary_dim = facts.head_dim;
  TSR_ASSIGN_OR_RETURN(rope.x, program.add_rows(facts.a));
  facts.ids.resize(facts.rows);
  std::iota(facts.ids.begin(), facts.ids.end(), 0);
  TSR_ASSIGN_OR_RETURN(rope.positions,
                       program.add_ids(TSR_ROLE_POSITIONS, facts.ids));
  facts.table = random_values(size_t{facts.rows} * facts.head_dim, 7, 0.5f);
  TSR_ASSIGN_OR_RETURN(
      rope.table,
      program.add_constant(facts.table, {{facts.rows, TSR_DIM_FIXED},
                                         {facts.head_dim, TSR_DIM_FIXED}}));
  program.repeat(rope);
  return {};
}

Status add_embedding(RowFacts& facts, uint32_t y, RowProgram& program) {
  tsr_op_gather gather{};
  gather.op.kind = TSR_OP_EMBEDDING;
  gather.y = y;
  facts.table = random_values(size_t{kTableRows} * facts.columns, 8);
  const std::vector<std::byte> bytes = round_to_bytes(facts.table, facts.dtype);
  tsr_tensor table = program.rows();
  table.flags = TSR_TENSOR_CONSTANT;
  table.dims[0] = {kTableRows, TSR_DIM_FIXED};
  TSR_ASSIGN_OR_RETURN(gather.table, program.add(table, bytes));
  for (uint32_t i = 0; i < facts.rows; ++i) {
    facts.ids.push_back(static_cast<int32_t>(i * 2654435761U % kTableRows));
  }
  TSR_ASSIGN_OR_RETURN(gather.rows,
                       program.add_ids(TSR_ROLE_TOKEN_IDS, facts.ids));
  program.repeat(gather);
  return {};
}

Status add_elementwise(RowFacts& facts, uint32_t y, RowProgram& program) {
  TSR_ASSIGN_OR_RETURN(const uint32_t a, program.add_rows(facts.a));
  if (facts.kind->op == TSR_OP_SOFTMAX) {
    tsr_op_softmax softmax{};
    softmax.op.kind = TSR_OP_SOFTMAX;
    softmax.x = a;
    softmax.y = y;
    softmax.scale = 1.0f;
    program.repeat(softmax);
    return {};
  }
  tsr_op_elementwise elementwise{};
  elementwise.op.kind = facts.kind->op;
  elementwise.a = a;
  elementwise.b = TSR_NONE;
  elementwise.y = y;
  if (facts.kind->inputs == 2) {
    facts.b = random_values(facts.count(), 4);
    TSR_ASSIGN_OR_RETURN(elementwise.b, program.add_rows(facts.b));
  } else {
    elementwise.variant = TSR_EPILOGUE_GELU_ERF;
  }
  program.repeat(elementwise);
  return {};
}

// What the op gives, and the largest term of each element where terms may
// cancel.
struct Expected {
  std::vector<double> values;
  std::vector<double> magnitudes;
};

Status expect_norm(const RowFacts& facts, Expected& expected) {
  reference::Norm p;
  p.rows = facts.rows;
  p.D = facts.columns;
  p.x = facts.a.data();
  p.weight = facts.weight.data();
  p.eps = kEps;
  if (facts.kind->op == TSR_OP_RMS_NORM) {
    reference::rms_norm(p, expected.values.data());
    return {};
  }
  p.bias = facts.bias.data();
  reference::layer_norm(p, expected.values.data());
  for (size_t i = 0; i < facts.count(); ++i) {
    // Values have about deviation 1.
    const size_t column = i % facts.columns;
    expected.magnitudes[i] =
        2.0 * std::abs(double{facts.a[i]} * double{facts.weight[column]}) +
        std::abs(double{facts.weight[column]}) +
        std::abs(double{facts.bias[column]});
  }
  return {};
}

Status expect_rope(const RowFacts& facts, Expected& expected) {
  reference::Rope p;
  p.num_tokens = facts.rows;
  p.num_heads = facts.columns / facts.head_dim;
  p.head_dim = facts.head_dim;
  p.x = facts.a.data();
  p.positions = facts.ids.data();
  p.table = facts.table.data();
  p.max_positions = facts.rows;
  p.style = TSR_ROPE_HALF;
  p.rotary_dim = facts.head_dim;
  TSR_RETURN_IF_ERROR(reference::rope(p, expected.values.data()));
  float largest = 0.0f;
  for (const float value : facts.a)
    largest = std::max(largest, std::abs(value));
  // No factor of the table is larger than two.
  std::fill(expected.magnitudes.begin(), expected.magnitudes.end(),
            2.0 * double{largest});
  return {};
}

Status expect(const RowFacts& facts, Expected& expected) {
  const float* a = facts.a.data();
  double* y = expected.values.data();
  switch (facts.kind->op) {
    case TSR_OP_ADD:
      reference::add(a, facts.b.data(), facts.count(), y);
      for (size_t i = 0; i < facts.count(); ++i) {
        expected.magnitudes[i] =
            double{std::max(std::abs(facts.a[i]), std::abs(facts.b[i]))};
      }
      return {};
    case TSR_OP_SILU_MUL:
      reference::silu_mul(a, facts.b.data(), facts.count(), y);
      return {};
    case TSR_OP_GELU:
      reference::gelu(a, facts.count(), TSR_EPILOGUE_GELU_ERF, y);
      return {};
    case TSR_OP_SOFTMAX:
      reference::softmax(a, facts.rows, facts.columns, 1.0f, y);
      return {};
    case TSR_OP_ROPE:
      return expect_rope(facts, expected);
    case TSR_OP_EMBEDDING: {
      const reference::Gather p{facts.table.data(), kTableRows, facts.columns,
                                facts.ids.data(), facts.rows};
      return reference::embedding(p, y);
    }
    default:
      return expect_norm(facts, expected);
  }
}

Status check_rows(const RowFacts& facts, TimedOp& op) {
  Expected expected;
  expected.values.resize(facts.count());
  expected.magnitudes.resize(facts.count());
  TSR_RETURN_IF_ERROR(expect(facts, expected));
  TSR_ASSIGN_OR_RETURN(
      const std::vector<std::byte> bytes,
      op.submitter.download(op.buffers.front(),
                            dtype_bytes(facts.dtype, facts.count())));
  const std::vector<float> y = values_of(bytes, facts.dtype);
  for (size_t i = 0; i < y.size(); ++i) {
    const double wanted = expected.values[i];
    const double bound =
        reference::float_bound(wanted, facts.dtype, expected.magnitudes[i]);
    if (std::abs(double{y[i]} - wanted) <= bound) continue;
    return {TSR_DATA_LOSS,
            fmt::format("y[{}, {}] is {}, not {} +- {}", i / facts.columns,
                        i % facts.columns, y[i], wanted, bound)};
  }
  return {};
}

uint32_t choose_dtype(const Device& device, uint32_t op,
                      const std::string& name) {
  if (!name.empty()) return dtype_from_name(name);
  for (const uint32_t dtype : {TSR_BF16, TSR_F16, TSR_F32}) {
    if (has_kernel(device, {op, dtype, 0, 0, 0})) return dtype;
  }
  return TSR_F32;
}

Result<RowFacts> read_facts(const Device& device, const OpQuestion& question) {
  RowFacts facts;
  for (const RowKind& kind : kKinds) {
    if (question.op == kind.name) facts.kind = &kind;
  }
  if (facts.kind == nullptr) {
    return Status(TSR_UNIMPLEMENTED,
                  question.op + " runs on simulated devices alone");
  }
  facts.rows = static_cast<uint32_t>(question.shape.at(0));
  facts.columns = static_cast<uint32_t>(question.shape.at(1));
  facts.head_dim = static_cast<uint32_t>(question.head_dim);
  facts.dtype = choose_dtype(device, facts.kind->op, question.type);
  if (facts.dtype != TSR_F32 && facts.dtype != TSR_F16 &&
      facts.dtype != TSR_BF16) {
    return Status(TSR_INVALID_ARGUMENT, question.type + " is no type of " +
                                            question.op +
                                            "; it takes f32, f16 and bf16");
  }
  if (facts.kind->op == TSR_OP_ROPE && facts.columns % facts.head_dim != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{} columns are no whole number of heads of {}",
                              facts.columns, facts.head_dim));
  }
  facts.a = random_values(facts.kind->inputs > 0 ? facts.count() : 0, 3);
  return facts;
}

Status add_op(RowFacts& facts, uint32_t y, RowProgram& program) {
  switch (facts.kind->op) {
    case TSR_OP_RMS_NORM:
    case TSR_OP_LAYER_NORM:
      return add_norm(facts, y, program);
    case TSR_OP_ROPE:
      return add_rope(facts, y, program);
    case TSR_OP_EMBEDDING:
      return add_embedding(facts, y, program);
    default:
      return add_elementwise(facts, y, program);
  }
}

}  // namespace

Result<std::unique_ptr<TimedOp>> make_row_op(Submitter& submitter,
                                             const OpQuestion& question) {
  TSR_ASSIGN_OR_RETURN(RowFacts facts,
                       read_facts(submitter.device(), question));
  auto op = std::make_unique<TimedOp>(submitter);
  op->copies = kOpsPerSubmission;
  const uint64_t reads = std::max(facts.kind->inputs, 1U);
  op->cost.bytes = (reads + 1) * dtype_bytes(facts.dtype, facts.count());
  op->cost.operations = facts.kind->ops_per_value * uint64_t{facts.count()};
  op->rotated_bytes = op->cost.bytes;
  RowProgram program(facts, *op);
  TSR_ASSIGN_OR_RETURN(
      const uint32_t y,
      program.add(program.rows(), std::vector<std::byte>(
                                      dtype_bytes(facts.dtype, facts.count()),
                                      std::byte{0xff})));
  TSR_RETURN_IF_ERROR(add_op(facts, y, program));
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  step.num_tokens = facts.rows;
  step.num_seqs = 1;
  step.num_outputs = 1;
  step.seq_len = facts.rows;
  step.phase = facts.rows > 1 ? TSR_PREFILL : TSR_DECODE;
  TSR_RETURN_IF_ERROR(add_submission(program.build(), step, facts.rows, *op));
  op->check = [facts = std::move(facts), op = op.get()] {
    return check_rows(facts, *op);
  };
  return op;
}

}  // namespace tessera::bench
