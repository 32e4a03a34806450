// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/layer_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/format/element.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera {
namespace {

constexpr uint32_t kBlockSize = 16;

uint32_t blocks_for(uint64_t tokens) {
  return static_cast<uint32_t>((tokens + kBlockSize - 1) / kBlockSize);
}

// The ops of one layer follow each other.
Result<OpRange> find_layer(const Graph& graph, int32_t layer) {
  OpRange range;
  const auto count = static_cast<uint32_t>(graph.ops.size());
  while (range.first < count && graph.ops[range.first].layer != layer) {
    ++range.first;
  }
  if (range.first == count) {
    return Status(TSR_NOT_FOUND,
                  fmt::format("the graph has no layer {}", layer));
  }
  range.last = range.first;
  while (range.last < count && graph.ops[range.last].layer == layer) {
    ++range.last;
  }
  return range;
}

}  // namespace

Result<std::unique_ptr<LayerRunner>> LayerRunner::create(
    const LayerRunnerInputs& inputs, int32_t layer,
    const std::vector<uint32_t>& observed, const LayerRunnerOptions& options) {
  if (options.max_tokens == 0 || options.max_texts == 0 ||
      options.max_context == 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "layer runner: max_tokens, max_texts and max_context must be "
                  "at least 1");
  }
  TSR_ASSIGN_OR_RETURN(OpRange range, find_layer(inputs.graph, layer));
  range.device = inputs.device->name();
  range.observed = observed;
  const StepLimits limits{options.max_tokens, options.max_texts,
                          options.max_tokens, blocks_for(options.max_context)};
  std::unique_ptr<LayerRunner> runner(new LayerRunner(options, limits));
  // Every text may end in the middle of a block.
  const uint32_t kv_blocks = blocks_for(options.max_tokens) + options.max_texts;
  TSR_ASSIGN_OR_RETURN(runner->stage_,
                       Stage::create({inputs.graph, inputs.plan, inputs.source,
                                      limits, kBlockSize, kv_blocks, false},
                                     range, inputs.device));
  runner->widened_.resize(runner->stage_->outputs().size());
  return runner;
}

std::vector<uint32_t> LayerRunner::inputs() const {
  std::vector<uint32_t> ids;
  for (const BoundaryTensor& input : stage_->inputs()) {
    ids.push_back(input.graph_tensor);
  }
  return ids;
}

Status LayerRunner::check(
    std::span<const std::span<const int32_t>> texts) const {
  uint64_t tokens = 0;
  for (const std::span<const int32_t> text : texts) {
    if (text.empty() || text.size() > options_.max_context) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("layer runner: a text of {} tokens, not 1 to {}",
                          text.size(), options_.max_context)};
    }
    tokens += text.size();
  }
  if (texts.empty() || texts.size() > options_.max_texts ||
      tokens > options_.max_tokens) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("layer runner: {} texts of {} tokens, at most {} of {}",
                        texts.size(), tokens, options_.max_texts,
                        options_.max_tokens)};
  }
  return {};
}

void LayerRunner::fill(std::span<const std::span<const int32_t>> texts) {
  StepArrays arrays(stage_->arena(), stage_->arena_layout(),
                    limits_.max_blocks_per_seq);
  size_ = {};
  uint32_t block = 0;
  for (const std::span<const int32_t> text : texts) {
    const auto length = static_cast<uint32_t>(text.size());
    arrays.q_starts[size_.num_seqs] = static_cast<int32_t>(size_.num_tokens);
    arrays.seq_lens[size_.num_seqs] = static_cast<int32_t>(length);
    int32_t* blocks = arrays.block_table +
                      size_t{size_.num_seqs} * limits_.max_blocks_per_seq;
    const uint32_t count = blocks_for(length);
    for (uint32_t i = 0; i < count; ++i) {
      blocks[i] = static_cast<int32_t>(block + i);
    }
    for (uint32_t i = 0; i < length; ++i) {
      const uint32_t at = size_.num_tokens + i;
      arrays.token_ids[at] = text[i];
      arrays.positions[at] = static_cast<int32_t>(i);
      arrays.slot_mapping[at] = static_cast<int32_t>(block * kBlockSize + i);
      arrays.output_rows[at] = static_cast<int32_t>(at);
    }
    block += count;
    size_.num_tokens += length;
    size_.max_q_len = std::max(size_.max_q_len, length);
    ++size_.num_seqs;
  }
  size_.max_seq_len = size_.max_q_len;
  size_.num_outputs = size_.num_tokens;
  arrays.q_starts[size_.num_seqs] = static_cast<int32_t>(size_.num_tokens);
}

Status LayerRunner::write_inputs(std::span<const LayerTensor> inputs) {
  for (const BoundaryTensor& wanted : stage_->inputs()) {
    const auto found = std::find_if(
        inputs.begin(), inputs.end(),
        [&](const LayerTensor& t) { return t.id == wanted.graph_tensor; });
    const uint64_t bytes = size_.num_tokens * wanted.row_bytes;
    if (found == inputs.end() || wanted.dtype != TSR_F32 ||
        found->values.size_bytes() != bytes) {
      return {
          TSR_INVALID_ARGUMENT,
          fmt::format("layer runner: input tensor {} needs {} bytes of f32, "
                      "has {}",
                      wanted.graph_tensor, bytes,
                      found == inputs.end() ? 0 : found->values.size_bytes())};
    }
    std::memcpy(wanted.memory, found->values.data(), bytes);
  }
  return {};
}

Status LayerRunner::run(std::span<const std::span<const int32_t>> texts,
                        std::span<const LayerTensor> inputs) {
  TSR_RETURN_IF_ERROR(check(texts));
  fill(texts);
  TSR_RETURN_IF_ERROR(write_inputs(inputs));
  for (std::vector<float>& values : widened_) values.clear();
  return stage_->run(size_);
}

Result<std::span<const float>> LayerRunner::output(uint32_t id) {
  const std::vector<BoundaryTensor>& outputs = stage_->outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const BoundaryTensor& tensor = outputs[i];
    if (tensor.graph_tensor != id) continue;
    if (tensor.dtype == TSR_F32) {
      return std::span(reinterpret_cast<const float*>(tensor.memory),
                       size_.num_tokens * tensor.row_bytes / sizeof(float));
    }
    std::vector<float>& values = widened_[i];
    if (values.empty()) {  // both other types take two bytes
      values.resize(size_.num_tokens * tensor.row_bytes / 2);
      for (size_t k = 0; k < values.size(); ++k) {
        values[k] = static_cast<float>(
            format::element_value(tensor.dtype, tensor.memory, k));
      }
    }
    return std::span<const float>(values);
  }
  return Status(TSR_NOT_FOUND,
                fmt::format("layer runner: tensor {} is not observed", id));
}

}  // namespace tessera
