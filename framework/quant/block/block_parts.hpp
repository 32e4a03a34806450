// SPDX-License-Identifier: Apache-2.0
//
// A decoder block between files, graphs and algorithms: its matrices as floats,
// and back as what a graph reads.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/config.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/quant/block/decoder_block.hpp"

namespace tessera::quant {

// One linear of a block and where it lives.
struct BlockPart {
  const char* name;  // "self_attn.q_proj"
  FloatLinear DecoderBlock::*linear;
  std::string LayerTensorNames::*weight;
  std::string LayerTensorNames::*bias;
};

// q, k, v, o, gate, up, down.
std::span<const BlockPart> block_parts();

// The part that reads the same input and comes first: q for k and v, gate for
// up, else the part itself.  An index of block_parts().
uint32_t input_of_part(uint32_t part);

struct PartShape {
  uint32_t N = 0;
  uint32_t K = 0;
};
PartShape part_shape(const ModelConfig& config, uint32_t part);

bool has_bias(const ModelConfig& config, uint32_t part);

// Errors: those of `source`; INVALID_ARGUMENT, naming the tensor and the first
//         such element, for NaN or infinity.
Status check_stored(const WeightSource& source, const std::string& name);

// A tensor of `count` elements, widened to f32.
// Errors: those of `source`; INVALID_ARGUMENT for another size.
Result<std::vector<float>> read_values(const WeightSource& source,
                                       const std::string& name, uint64_t count);

// Layer `layer` widened to f32.
//
// Errors  those of `source`; INVALID_ARGUMENT, naming the part, if a tensor has
//         another size or is not finite
Result<DecoderBlock> read_block(const ModelConfig& config,
                                const WeightSource& source, uint32_t layer);

// `base`, but with the block's tensors in place of those of layer `layer`.
// Requires  base and block outlive the result.
WeightSource block_source(const WeightSource& base, const DecoderBlock& block,
                          uint32_t layer);

}  // namespace tessera::quant
