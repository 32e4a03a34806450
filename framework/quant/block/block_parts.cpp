// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/block/block_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/format/row_codec.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

using Names = LayerTensorNames;

constexpr BlockPart kParts[] = {
    {"self_attn.q_proj", &DecoderBlock::q, &Names::q_proj, &Names::q_bias},
    {"self_attn.k_proj", &DecoderBlock::k, &Names::k_proj, &Names::k_bias},
    {"self_attn.v_proj", &DecoderBlock::v, &Names::v_proj, &Names::v_bias},
    {"self_attn.o_proj", &DecoderBlock::o, &Names::o_proj, &Names::o_bias},
    {"mlp.gate_proj", &DecoderBlock::gate, &Names::gate_proj,
     &Names::gate_bias},
    {"mlp.up_proj", &DecoderBlock::up, &Names::up_proj, &Names::up_bias},
    {"mlp.down_proj", &DecoderBlock::down, &Names::down_proj,
     &Names::down_bias},
};

// Outputs and inputs of every part.
void set_shapes(const ModelConfig& config, DecoderBlock* block) {
  block->hidden_size = config.hidden_size;
  block->num_q_heads = config.num_q_heads;
  block->num_kv_heads = config.num_kv_heads;
  block->head_dim = config.head_dim;
  for (uint32_t part = 0; part < std::size(kParts); ++part) {
    const PartShape shape = part_shape(config, part);
    FloatLinear& linear = block->*kParts[part].linear;
    linear.N = shape.N;
    linear.K = shape.K;
  }
}

// "row 3: column 5", or "element 5" of a vector.
std::string place_of(const SourceTensor& tensor, uint64_t index) {
  if (tensor.shape.size() < 2 || tensor.shape.back() == 0) {
    return fmt::format("element {}", index);
  }
  const uint64_t K = tensor.shape.back();
  return fmt::format("row {}: column {}", index / K, index % K);
}

Status check_finite(const SourceTensor& tensor, const std::string& name,
                    uint64_t first, std::span<const float> values) {
  if (format::all_finite(values)) return {};
  uint64_t at = 0;
  while (std::isfinite(values[at])) ++at;
  return {TSR_INVALID_ARGUMENT,
          fmt::format("{}: {} is {}", name, place_of(tensor, first + at),
                      std::isnan(values[at]) ? "NaN" : "infinite")};
}

SourceTensor borrow(const std::vector<float>& values,
                    std::vector<uint64_t> shape) {
  return {TSR_F32, std::move(shape), std::as_bytes(std::span(values)), {}};
}

}  // namespace

std::span<const BlockPart> block_parts() { return kParts; }

Result<std::vector<float>> read_values(const WeightSource& source,
                                       const std::string& name,
                                       uint64_t count) {
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, source.tensor(name));
  const uint64_t found = tensor.bytes.size() / dtype_bytes(tensor.dtype, 1);
  if (found != count) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} elements, not {}", name, found, count));
  }
  std::vector<float> values(count);
  format::read_floats(tensor.dtype, tensor.bytes.data(), 0, values);
  TSR_RETURN_IF_ERROR(check_finite(tensor, name, 0, values));
  release_mapped(tensor.bytes);
  return values;
}

Status check_stored(const WeightSource& source, const std::string& name) {
  constexpr uint64_t kPiece = 1U << 16;
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, source.tensor(name));
  const uint64_t count = tensor.bytes.size() / dtype_bytes(tensor.dtype, 1);
  std::vector<float> piece(std::min(count, kPiece));
  for (uint64_t first = 0; first < count; first += kPiece) {
    const auto values = std::span(piece).first(std::min(count - first, kPiece));
    format::read_floats(tensor.dtype, tensor.bytes.data(), first, values);
    TSR_RETURN_IF_ERROR(check_finite(tensor, name, first, values));
  }
  return {};
}

PartShape part_shape(const ModelConfig& config, uint32_t part) {
  const uint32_t q_size = config.num_q_heads * config.head_dim;
  const uint32_t kv_size = config.num_kv_heads * config.head_dim;
  const uint32_t hidden = config.hidden_size;
  const uint32_t inner = config.intermediate_size;
  switch (part) {
    case 0:
      return {q_size, hidden};
    case 1:
    case 2:
      return {kv_size, hidden};
    case 3:
      return {hidden, q_size};
    case 4:
    case 5:
      return {inner, hidden};
    default:
      return {hidden, inner};
  }
}

bool has_bias(const ModelConfig& config, uint32_t part) {
  if (part < 3) return config.qkv_bias;
  return part == 3 ? config.o_bias : config.mlp_bias;
}

uint32_t input_of_part(uint32_t part) {
  if (part < 3) return 0;
  return part == 5 ? 4 : part;
}

Result<DecoderBlock> read_block(const ModelConfig& config,
                                const WeightSource& source, uint32_t layer) {
  const LayerTensorNames names = layer_tensor_names(layer);
  DecoderBlock block;
  set_shapes(config, &block);
  TSR_ASSIGN_OR_RETURN(
      block.attention_norm,
      read_values(source, names.attention_norm, config.hidden_size));
  TSR_ASSIGN_OR_RETURN(block.mlp_norm,
                       read_values(source, names.mlp_norm, config.hidden_size));
  for (uint32_t i = 0; i < std::size(kParts); ++i) {
    FloatLinear& linear = block.*kParts[i].linear;
    TSR_ASSIGN_OR_RETURN(linear.weight,
                         read_values(source, names.*kParts[i].weight,
                                     uint64_t{linear.N} * linear.K));
    if (!has_bias(config, i)) continue;
    TSR_ASSIGN_OR_RETURN(linear.bias,
                         read_values(source, names.*kParts[i].bias, linear.N));
  }
  TSR_RETURN_IF_ERROR(
      check_block(block).annotate(fmt::format("layers.{}", layer)));
  return block;
}

WeightSource block_source(const WeightSource& base, const DecoderBlock& block,
                          uint32_t layer) {
  const LayerTensorNames names = layer_tensor_names(layer);
  std::map<std::string, SourceTensor> own;
  own[names.attention_norm] =
      borrow(block.attention_norm, {block.attention_norm.size()});
  own[names.mlp_norm] = borrow(block.mlp_norm, {block.mlp_norm.size()});
  for (const BlockPart& part : kParts) {
    const FloatLinear& linear = block.*part.linear;
    own[names.*part.weight] = borrow(linear.weight, {linear.N, linear.K});
    if (!linear.bias.empty()) {
      own[names.*part.bias] = borrow(linear.bias, {linear.N});
    }
  }
  WeightSource source;
  source.tensor = [own = std::move(own),
                   &base](const std::string& name) -> Result<SourceTensor> {
    const auto found = own.find(name);
    if (found == own.end()) return base.tensor(name);
    return found->second;
  };
  return source;
}

}  // namespace tessera::quant
