// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/block/block_parts.hpp"

#include <fmt/format.h>

#include <cstring>
#include <map>

#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"

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

bool has_bias(const ModelConfig& config, uint32_t part) {
  if (part < 3) return config.qkv_bias;
  return part == 3 ? config.o_bias : config.mlp_bias;
}

// Outputs and inputs of every part.
void set_shapes(const ModelConfig& config, DecoderBlock* block) {
  const uint32_t q_size = config.num_q_heads * config.head_dim;
  const uint32_t kv_size = config.num_kv_heads * config.head_dim;
  const uint32_t hidden = config.hidden_size;
  const uint32_t inner = config.intermediate_size;
  const auto set = [](FloatLinear& linear, uint32_t N, uint32_t K) {
    linear.N = N;
    linear.K = K;
  };
  block->hidden_size = hidden;
  block->num_q_heads = config.num_q_heads;
  block->num_kv_heads = config.num_kv_heads;
  block->head_dim = config.head_dim;
  set(block->q, q_size, hidden);
  set(block->k, kv_size, hidden);
  set(block->v, kv_size, hidden);
  set(block->o, hidden, q_size);
  set(block->gate, inner, hidden);
  set(block->up, inner, hidden);
  set(block->down, hidden, inner);
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
  const std::byte* const bytes = tensor.bytes.data();
  switch (tensor.dtype) {
    case TSR_F32:
      std::memcpy(values.data(), bytes, count * sizeof(float));
      break;
    case TSR_F16:
      for (uint64_t i = 0; i < count; ++i) {
        values[i] = f16_to_f32(format::load_element<uint16_t>(bytes, i));
      }
      break;
    default:
      for (uint64_t i = 0; i < count; ++i) {
        values[i] = bf16_to_f32(format::load_element<uint16_t>(bytes, i));
      }
      break;
  }
  return values;
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
