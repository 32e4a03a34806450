// SPDX-License-Identifier: Apache-2.0
//
// A program of linears one after the other: of one weight, or of as many as do
// not fit into any cache.  Each reads other activations than the one before, so
// that nothing is shared, and writes the same result, so that none overtakes
// another.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/bench/timed/make_op.hpp"
#include "framework/bench/timed/random_values.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::bench {
namespace {

constexpr uint32_t kInputs = 4;
constexpr uint32_t kOpsPerSubmission = 16;
constexpr uint32_t kMaxWeights = 2048;
constexpr uint64_t kHotOperations = 500'000'000;  // of one submission
constexpr uint32_t kCheckedRows = 3;
constexpr uint32_t kCheckedColumns = 16;  // at the start, middle and end

// What the check needs to know about a linear.
struct LinearFacts {
  Scheme scheme;
  uint32_t M = 0;
  uint32_t N = 0;
  uint32_t K = 0;
  uint32_t y_dtype = 0;
  uint32_t phase = 0;
  uint32_t error_class = 0;
  std::vector<float> x;  // of the last op
  std::shared_ptr<const format::WeightData> weight;
};

tsr_tensor matrix(uint32_t dtype, uint32_t rows, uint32_t columns) {
  tsr_tensor tensor{};
  tensor.dtype = dtype;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {rows, TSR_DIM_TOKENS};
  tensor.dims[1] = {columns, TSR_DIM_FIXED};
  return tensor;
}

std::vector<uint32_t> checked(uint32_t count, uint32_t wanted) {
  std::vector<uint32_t> rows;
  for (uint32_t i = 0; i < std::min(count, wanted); ++i) {
    rows.push_back(static_cast<uint32_t>(
        uint64_t{i} * (count - 1) / std::max(1U, std::min(count, wanted) - 1)));
  }
  return rows;
}

Status wrong_element(uint32_t m, uint32_t n, double found, double wanted,
                     double bound) {
  return {TSR_DATA_LOSS, fmt::format("y[{}, {}] is {}, not {} +- {}", m, n,
                                     found, wanted, bound)};
}

// Compares some rows in the columns from n_begin on.
Status check_window(const LinearFacts& facts, const reference::Weight& weight,
                    std::span<const float> y, uint32_t n_begin) {
  const std::vector<uint32_t> rows = checked(facts.M, kCheckedRows);
  std::vector<float> x;
  for (const uint32_t m : rows) {
    const auto first = facts.x.begin() + ptrdiff_t{m} * facts.K;
    x.insert(x.end(), first, first + facts.K);
  }
  reference::Linear p;
  p.weight = &weight;
  p.M = static_cast<uint32_t>(rows.size());
  p.x = x.data();
  p.n_begin = n_begin;
  p.n_end = std::min(facts.N, n_begin + kCheckedColumns);
  p.act_quant = facts.scheme.act_quant;
  p.num_decode_tokens = facts.phase == TSR_DECODE ? p.M : 0;
  const size_t columns = p.num_columns();
  std::vector<double> wanted(rows.size() * columns);
  std::vector<double> bound(wanted.size());
  TSR_RETURN_IF_ERROR(reference::linear(p, wanted.data()));
  TSR_RETURN_IF_ERROR(reference::linear_bound(
      p, {facts.error_class, facts.y_dtype, TSR_BF16}, bound.data()));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const uint32_t m = rows[i / columns];
    const auto n = static_cast<uint32_t>(n_begin + i % columns);
    const double found = double{y[size_t{m} * facts.N + n]};
    if (std::abs(found - wanted[i]) <= bound[i]) continue;
    return wrong_element(m, n, found, wanted[i], bound[i]);
  }
  return {};
}

Status check_linear_result(const LinearFacts& facts, TimedOp& op) {
  const uint64_t count = uint64_t{facts.M} * facts.N;
  TSR_ASSIGN_OR_RETURN(
      const std::vector<std::byte> bytes,
      op.submitter.download(op.buffers.front(),
                            dtype_bytes(facts.y_dtype, count)));
  const std::vector<float> y = values_of(bytes, facts.y_dtype);
  for (size_t i = 0; i < y.size(); ++i) {
    if (std::isfinite(y[i])) continue;
    return {TSR_DATA_LOSS,
            fmt::format("y[{}, {}] is {}", i / facts.N, i % facts.N, y[i])};
  }
  TSR_ASSIGN_OR_RETURN(const reference::Weight weight,
                       reference::Weight::open(*facts.weight));
  const uint32_t last = facts.N - std::min(facts.N, kCheckedColumns);
  for (const uint32_t n_begin : {0U, last / 2, last}) {
    TSR_RETURN_IF_ERROR(check_window(facts, weight, y, n_begin));
  }
  return {};
}

// How many weights there are, and how many ops in a submission.
struct Counts {
  uint32_t weights = 1;
  uint32_t ops = 1;
};

Counts count_copies(const LinearFacts& facts, const MakeOptions& options) {
  const uint64_t operations = 2 * uint64_t{facts.M} * facts.N * facts.K;
  if (!options.cold) {
    return {1, static_cast<uint32_t>(
                   std::clamp<uint64_t>(kHotOperations / operations, 1, 32))};
  }
  const uint64_t bytes = facts.weight->bytes();
  const auto wanted = static_cast<uint32_t>(std::clamp<uint64_t>(
      (options.cold_bytes + bytes - 1) / bytes, 1, kMaxWeights));
  const uint32_t ops = std::min(wanted, kOpsPerSubmission);
  return {(wanted + ops - 1) / ops * ops, ops};
}

Status load_weights(const LinearFacts& facts, uint32_t count, TimedOp& op) {
  for (uint32_t i = 0; i < count; ++i) {
    // One that the device reads in place must have memory of its own.
    auto copy = std::make_unique<format::WeightData>(*facts.weight);
    const format::WeightView view = copy->view();
    TSR_ASSIGN_OR_RETURN(Weight weight,
                         op.submitter.device().load_weight(view.desc()));
    if (weight.in_place()) op.kept.push_back(std::move(copy));
    op.weights.push_back(std::move(weight));
  }
  return {};
}

// Fills op.buffers: y, then the inputs; facts.x is what the last op reads.
Status upload_inputs(uint32_t num_ops, LinearFacts& facts, TimedOp& op) {
  const uint64_t y_bytes =
      dtype_bytes(facts.y_dtype, uint64_t{facts.M} * facts.N);
  // NaN in every type, so that what no kernel writes is found.
  TSR_ASSIGN_OR_RETURN(Buffer y, op.submitter.upload(std::vector<std::byte>(
                                     y_bytes, std::byte{0xff})));
  op.buffers.push_back(std::move(y));
  const uint32_t inputs = std::min(num_ops, kInputs);
  for (uint32_t i = 0; i < inputs; ++i) {
    std::vector<float> x = random_values(size_t{facts.M} * facts.K, 100 + i);
    const std::vector<std::byte> bytes =
        round_to_bytes(x, facts.scheme.act_dtype);
    TSR_ASSIGN_OR_RETURN(Buffer buffer, op.submitter.upload(bytes));
    op.buffers.push_back(std::move(buffer));
    if (i == (num_ops - 1) % inputs) facts.x = std::move(x);
  }
  return {};
}

std::vector<std::byte> linear_record(const LinearFacts& facts, uint32_t first,
                                     uint32_t num_ops, const TimedOp& op) {
  ProgramBuilder builder;
  builder.set_limits(facts.M, 1, 1, 1);
  const uint32_t y =
      builder.add_tensor(matrix(facts.y_dtype, facts.M, facts.N));
  builder.bind(y, op.buffers[0].id(), 0);
  const auto inputs = static_cast<uint32_t>(op.buffers.size() - 1);
  for (uint32_t i = 0; i < inputs; ++i) {
    const uint32_t x =
        builder.add_tensor(matrix(facts.scheme.act_dtype, facts.M, facts.K));
    builder.bind(x, op.buffers[1 + i].id(), 0);
  }
  const bool is_cold = op.weights.size() > 1;
  for (uint32_t i = 0; i < num_ops; ++i) {
    tsr_op_linear linear{};
    linear.op.kind = TSR_OP_LINEAR;
    linear.x = 1 + i % inputs;
    linear.y = y;
    linear.weight = is_cold ? i : 0;
    linear.bias = linear.multiplier = linear.residual = TSR_NONE;
    linear.act_quant = facts.scheme.act_quant;
    builder.add_op(linear);
  }
  for (uint32_t i = 0; i < (is_cold ? num_ops : 1); ++i) {
    builder.add_weight(op.weights[first + i].id());
  }
  return builder.build();
}

OpCost linear_cost(const LinearFacts& facts) {
  OpCost cost;
  cost.bytes =
      facts.weight->bytes() +
      dtype_bytes(facts.scheme.act_dtype, uint64_t{facts.M} * facts.K) +
      dtype_bytes(facts.y_dtype, uint64_t{facts.M} * facts.N);
  cost.operations = 2 * uint64_t{facts.M} * facts.N * facts.K;
  cost.compute = compute_of(facts.scheme.act_quant, facts.scheme.act_dtype);
  return cost;
}

Result<LinearFacts> read_facts(const Device& device,
                               const OpQuestion& question) {
  LinearFacts facts;
  TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme(question.scheme));
  if (question.group_size > 0) {
    scheme.group_size = static_cast<uint32_t>(question.group_size);
  }
  facts.scheme = fit_scheme(std::move(scheme), device);
  facts.M = static_cast<uint32_t>(question.shape.at(0));
  facts.N = static_cast<uint32_t>(question.shape.at(1));
  facts.K = static_cast<uint32_t>(question.shape.at(2));
  facts.y_dtype = facts.scheme.act_dtype;
  facts.phase = facts.M <= kMaxDecodeRows ? TSR_DECODE : TSR_PREFILL;
  facts.error_class = error_class_of(
      device, {TSR_OP_LINEAR, facts.scheme.act_dtype,
               facts.scheme.weight_format, facts.scheme.act_quant, 0});
  return facts;
}

}  // namespace

Result<std::unique_ptr<TimedOp>> make_linear(Submitter& submitter,
                                             const OpQuestion& question,
                                             const MakeOptions& options) {
  TSR_ASSIGN_OR_RETURN(LinearFacts facts,
                       read_facts(submitter.device(), question));
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       random_weight(facts.scheme, facts.N, facts.K));
  facts.weight = std::make_shared<format::WeightData>(std::move(weight));
  auto op = std::make_unique<TimedOp>(submitter);
  const Counts counts = count_copies(facts, options);
  op->copies = counts.ops;
  op->cost = linear_cost(facts);
  TSR_RETURN_IF_ERROR(upload_inputs(counts.ops, facts, *op));
  TSR_RETURN_IF_ERROR(load_weights(facts, 1, *op));
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  step.num_tokens = facts.M;
  step.num_seqs = 1;
  step.num_outputs = 1;
  step.seq_len = facts.M;
  step.phase = facts.phase;
  // A device that refuses says so before many weights are loaded.
  if (counts.weights > 1) {
    TSR_RETURN_IF_ERROR(submitter.device()
                            .create_program(linear_record(facts, 0, 1, *op))
                            .status());
    TSR_RETURN_IF_ERROR(load_weights(facts, counts.weights - 1, *op));
  }
  for (uint32_t first = 0; first < counts.weights; first += counts.ops) {
    TSR_RETURN_IF_ERROR(add_submission(
        linear_record(facts, first, counts.ops, *op), step, facts.M, *op));
  }
  op->rotated_bytes =
      options.cold ? facts.weight->bytes() * counts.weights : op->cost.bytes;
  op->check = [facts = std::move(facts), op = op.get()] {
    return check_linear_result(facts, *op);
  };
  return op;
}

}  // namespace tessera::bench
