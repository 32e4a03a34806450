// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/format/decode.hpp"
#include "framework/format/fp4_layout.hpp"
#include "framework/format/gguf/gguf_block.hpp"

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

// A plane of GGUF blocks over the bytes of the file.
format::Plane block_plane(const TensorView& view, uint32_t block_values,
                          uint32_t block_bytes) {
  format::Plane codes;
  codes.role = TSR_PLANE_CODES;
  codes.dtype = TSR_U8;
  codes.rows = static_cast<uint32_t>(view.shape[0]);
  codes.cols =
      static_cast<uint32_t>(view.shape[1]) / block_values * block_bytes;
  codes.block_n = 1;
  codes.borrowed = view.data;
  return codes;
}

Result<format::WeightData> read_fp4(const TensorView& view) {
  Bytes ordered;
  format::Fp4Tensors parts;
  parts.codes = view.data;
  parts.tensor_scale = view.tensor_scale;
  if (view.rope_heads != 0) {
    TSR_ASSIGN_OR_RETURN(ordered, in_head_order(view));
    parts.codes = ordered;
  }
  const bool is_nvfp4 = view.weight_format == TSR_WEIGHT_NVFP4;
  return format::read_fp4(is_nvfp4 ? format::Fp4Layout::kNvfp4Gguf
                                   : format::Fp4Layout::kMxfp4Gguf,
                          static_cast<uint32_t>(view.shape[0]),
                          static_cast<uint32_t>(view.shape[1]), parts)
      .annotate("tensor " + view.name);
}

// Requires: view.weight_format is not 0, so the tensor is a matrix.
Result<format::WeightData> read_blocks(const TensorView& view) {
  constexpr uint64_t kMax = INT32_MAX;
  if (view.shape[0] > kMax || view.shape[1] > kMax) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {}: shape {} is larger than 31 bits "
                              "count",
                              view.name, shape_text(view.shape)));
  }
  const format::GgufBlock* block = format::find_gguf_block(view.weight_format);
  if (block == nullptr) return read_fp4(view);
  format::WeightData weight;
  weight.format = view.weight_format;
  weight.N = static_cast<uint32_t>(view.shape[0]);
  weight.K = static_cast<uint32_t>(view.shape[1]);
  format::Plane codes = block_plane(view, block->values, block->bytes);
  if (view.rope_heads != 0) {
    TSR_ASSIGN_OR_RETURN(codes.owned, in_head_order(view));
  }
  weight.planes.push_back(std::move(codes));
  return weight;
}

std::vector<float> decode_blocks(const format::GgufBlock& block,
                                 std::span<const std::byte> blocks) {
  const size_t count = blocks.size() / block.bytes;
  std::vector<float> values(count * block.values);
  std::vector<double> exact(block.values);
  for (size_t i = 0; i < count; ++i) {
    format::decode_gguf_block(block.format, blocks.data() + i * block.bytes,
                              exact.data());
    std::transform(exact.begin(), exact.end(),
                   values.begin() + static_cast<ptrdiff_t>(i * block.values),
                   [](double value) { return static_cast<float>(value); });
  }
  return values;
}

Result<std::vector<float>> decode(const format::WeightData& weight) {
  const format::GgufBlock* block = format::find_gguf_block(weight.format);
  if (block == nullptr) return format::decode_weight(weight);
  return decode_blocks(*block, weight.planes[0].bytes());
}

Result<SourceTensor> decoded(const TensorView& view) {
  TSR_ASSIGN_OR_RETURN(const format::WeightData weight, read_blocks(view));
  TSR_ASSIGN_OR_RETURN(const std::vector<float> values, decode(weight));
  const auto bytes = std::as_bytes(std::span(values));
  SourceTensor tensor{TSR_F32, view.shape, {}, {}};
  tensor.owner = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
  tensor.bytes = *tensor.owner;
  return tensor;
}

Result<SourceTensor> read_tensor(const TensorView& view) {
  if (view.weight_format != 0) return decoded(view);
  SourceTensor tensor{view.dtype, view.shape, view.data, {}};
  if (view.rope_heads != 0) {
    TSR_ASSIGN_OR_RETURN(Bytes ordered, in_head_order(view));
    tensor.owner = std::make_shared<const Bytes>(std::move(ordered));
    tensor.bytes = *tensor.owner;
  }
  return tensor;
}

// Only formats that are more than GGUF's name their group.
uint32_t group_of(uint32_t weight_format) {
  if (weight_format == TSR_WEIGHT_NVFP4) return 16;
  return weight_format == TSR_WEIGHT_MXFP4 ? 32 : 0;
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
    return LinearChoice{view->weight_format, group_of(view->weight_format),
                        true, TSR_ACT_FLOAT};
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
