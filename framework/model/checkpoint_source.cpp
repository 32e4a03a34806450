// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/format/gguf_block.hpp"

namespace tessera {
namespace {

using Bytes = std::vector<std::byte>;

uint64_t rows_of(const TensorView& view) {
  return view.shape.empty() ? 1 : view.shape[0];
}

// Rows in the order of a Hugging Face folder: of each head first the even, then
// the odd ones.  Source: llama.cpp, convert_hf_to_gguf.py, permute().
Result<Bytes> in_head_order(const TensorView& view) {
  const uint64_t rows = rows_of(view);
  if (rows % (uint64_t{view.rope_heads} * 2) != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {}: {} rows of {} heads", view.name, rows,
                              view.rope_heads));
  }
  const uint64_t head_rows = rows / view.rope_heads;
  const uint64_t row_bytes = view.data.size() / std::max<uint64_t>(rows, 1);
  Bytes ordered(view.data.size());
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t head = row / head_rows;
    const uint64_t within = row % head_rows;
    const uint64_t half = within / (head_rows / 2);
    const uint64_t pair = within % (head_rows / 2);
    const uint64_t from = head * head_rows + 2 * pair + half;
    std::memcpy(ordered.data() + row * row_bytes,
                view.data.data() + from * row_bytes, row_bytes);
  }
  return ordered;
}

Bytes decode(uint32_t weight_format, std::span<const std::byte> blocks) {
  const format::GgufBlock& block = *format::find_gguf_block(weight_format);
  const size_t count = blocks.size() / block.bytes;
  Bytes values(count * block.values * sizeof(float));
  std::vector<double> exact(block.values);
  std::vector<float> rounded(block.values);
  for (size_t i = 0; i < count; ++i) {
    format::decode_gguf_block(weight_format, blocks.data() + i * block.bytes,
                              exact.data());
    std::transform(exact.begin(), exact.end(), rounded.begin(),
                   [](double value) { return static_cast<float>(value); });
    std::memcpy(values.data() + i * block.values * sizeof(float),
                rounded.data(), block.values * sizeof(float));
  }
  return values;
}

Result<SourceTensor> read_tensor(const TensorView& view) {
  SourceTensor tensor{view.dtype, view.shape, view.data, {}};
  if (view.rope_heads != 0) {
    TSR_ASSIGN_OR_RETURN(Bytes ordered, in_head_order(view));
    tensor.owner = std::make_shared<const Bytes>(std::move(ordered));
    tensor.bytes = *tensor.owner;
  }
  if (view.weight_format != 0) {
    tensor.dtype = TSR_F32;
    tensor.owner =
        std::make_shared<const Bytes>(decode(view.weight_format, tensor.bytes));
    tensor.bytes = *tensor.owner;
  }
  return tensor;
}

// Requires: view.weight_format is not 0, so the tensor is a matrix.
Result<format::WeightData> read_blocks(const TensorView& view) {
  const format::GgufBlock& block = *format::find_gguf_block(view.weight_format);
  format::WeightData weight;
  weight.format = view.weight_format;
  weight.N = static_cast<uint32_t>(view.shape[0]);
  weight.K = static_cast<uint32_t>(view.shape[1]);
  format::Plane codes;
  codes.role = TSR_PLANE_CODES;
  codes.dtype = TSR_U8;
  codes.rows = weight.N;
  codes.cols = weight.K / block.values * block.bytes;
  codes.block_n = 1;
  codes.borrowed = view.data;
  if (view.rope_heads != 0) {
    TSR_ASSIGN_OR_RETURN(codes.owned, in_head_order(view));
  }
  weight.planes.push_back(std::move(codes));
  return weight;
}

}  // namespace

WeightSource checkpoint_source(const Checkpoint& checkpoint) {
  // Shared with nobody: the caller keeps it.
  return checkpoint_source(
      std::shared_ptr<const Checkpoint>(std::shared_ptr<void>(), &checkpoint));
}

WeightSource checkpoint_source(std::shared_ptr<const Checkpoint> checkpoint) {
  const auto kept = std::move(checkpoint);
  WeightSource source;
  source.tensor = [kept](const std::string& name) -> Result<SourceTensor> {
    const TensorView* const view = kept->find(name);
    if (view == nullptr) return Status(TSR_NOT_FOUND, "no tensor " + name);
    return read_tensor(*view);
  };
  source.stored_choice =
      [kept](const std::string& name) -> std::optional<LinearChoice> {
    const TensorView* const view = kept->find(name);
    if (view == nullptr || view->weight_format == 0) return std::nullopt;
    return LinearChoice{view->weight_format, 0, true, TSR_ACT_FLOAT};
  };
  source.stored =
      [kept](const std::string& name) -> Result<format::WeightData> {
    const TensorView* const view = kept->find(name);
    if (view == nullptr) return Status(TSR_NOT_FOUND, "no tensor " + name);
    return read_blocks(*view);
  };
  return source;
}

}  // namespace tessera
