// SPDX-License-Identifier: Apache-2.0
//
// A program for each launch; what crosses its edges lies in host memory.

#include "framework/eval/launches.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "framework/format/element.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"

namespace tessera {
namespace {

constexpr uint32_t kBlockSize = 16;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Ops first .. last - 1: those that store into a cache go with the attention
// that reads it.
uint32_t end_of_launch(const Graph& graph, uint32_t first) {
  const auto* append = std::get_if<tsr_op_kv_append>(&graph.ops[first].body);
  if (append == nullptr) return first + 1;
  for (uint32_t i = first + 1; i < graph.ops.size(); ++i) {
    const auto* reader = std::get_if<tsr_op_attention>(&graph.ops[i].body);
    if (reader != nullptr && reader->kv == append->kv) return i + 1;
  }
  return first + 1;
}

void write_value(uint32_t dtype, float value, std::byte* to) {
  if (dtype == TSR_F32) {
    std::memcpy(to, &value, sizeof(value));
    return;
  }
  const uint16_t bits =
      dtype == TSR_F16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(to, &bits, sizeof(bits));
}

// One text from its first token on.
StepSize fill_step(const LaunchInputs& inputs, const StepLimits& limits,
                   Stage& stage) {
  StepArrays arrays(stage.arena(), stage.arena_layout(),
                    limits.max_blocks_per_seq);
  const auto count = static_cast<uint32_t>(inputs.tokens.size());
  for (uint32_t i = 0; i < limits.max_blocks_per_seq; ++i) {
    arrays.block_table[i] = static_cast<int32_t>(i);
  }
  for (uint32_t i = 0; i < count; ++i) {
    arrays.token_ids[i] = inputs.tokens[i];
    arrays.positions[i] = static_cast<int32_t>(i);
    arrays.slot_mapping[i] = static_cast<int32_t>(i);
    arrays.output_rows[i] = static_cast<int32_t>(i);
  }
  arrays.q_starts[0] = 0;
  arrays.q_starts[1] = static_cast<int32_t>(count);
  arrays.seq_lens[0] = static_cast<int32_t>(count);
  StepSize size;
  size.num_tokens = size.num_outputs = count;
  size.max_q_len = size.max_seq_len = count;
  size.num_seqs = 1;
  size.num_decode_tokens = inputs.phase == TSR_DECODE ? count : 0;
  return size;
}

Status write_inputs(const OracleTrace& trace, Stage& stage) {
  for (const BoundaryTensor& input : stage.inputs()) {
    const std::vector<float>& values = trace.values[input.graph_tensor];
    const size_t bytes = dtype_bytes(input.dtype, 1);
    if (values.empty() || bytes == 0) {
      return {TSR_INTERNAL, "the oracle has no values for an input"};
    }
    for (size_t i = 0; i < values.size(); ++i) {
      write_value(input.dtype, values[i], input.memory + i * bytes);
    }
  }
  return {};
}

void compare(const OracleTrace& trace, const BoundaryTensor& output,
             LaunchResult& result) {
  const OracleBounds& bounds = trace.bounds[output.graph_tensor];
  const std::vector<float>& values = trace.values[output.graph_tensor];
  result.is_exact = bounds.empty();
  for (size_t i = 0; i < values.size(); ++i) {
    const double got = format::element_value(output.dtype, output.memory, i);
    const double wanted = values[i];
    ++result.values;
    if (got == wanted || (std::isnan(got) && std::isnan(wanted))) continue;
    ++result.different;
    const double bound = bounds.empty() ? 0 : bounds[i];
    const double error = std::fabs(got - wanted);
    const bool is_bounded = bound > 0 && std::isfinite(error);
    if (!is_bounded) result.worst = kInfinity;
    if (is_bounded) result.worst = std::max(result.worst, error / bound);
  }
}

}  // namespace

Result<std::vector<LaunchResult>> check_launches(const LaunchInputs& inputs,
                                                 const Oracle& oracle) {
  TSR_ASSIGN_OR_RETURN(const OracleTrace trace,
                       oracle.trace(inputs.tokens, inputs.phase));
  Graph graph = inputs.graph;
  TSR_RETURN_IF_ERROR(bind_attention_scales(inputs.plan, graph));
  const auto count = static_cast<uint32_t>(inputs.tokens.size());
  const uint32_t blocks = (count + kBlockSize - 1) / kBlockSize;
  const StepLimits limits{count, 1, count, blocks};
  std::vector<LaunchResult> results;
  for (uint32_t first = 0; first < graph.ops.size();) {
    OpRange range;
    range.first = first;
    range.last = end_of_launch(graph, first);
    range.device = inputs.device->name();
    const GraphOp& op = graph.ops[range.last - 1];
    first = range.last;
    TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Stage> stage,
                         Stage::create({graph, inputs.plan, inputs.source,
                                        limits, kBlockSize, blocks, false},
                                       range, inputs.device)
                             .annotate(op.name));
    const StepSize size = fill_step(inputs, limits, *stage);
    TSR_RETURN_IF_ERROR(write_inputs(trace, *stage).annotate(op.name));
    TSR_RETURN_IF_ERROR(stage->run(size).annotate(op.name));
    LaunchResult result;
    result.name = op.name;
    for (const BoundaryTensor& output : stage->outputs()) {
      compare(trace, output, result);
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace tessera
