// SPDX-License-Identifier: Apache-2.0
//
// GGUF blocks, drawn in tessera/types.h, taken apart into codes, scales and
// minima.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::vulkan {

// A GGUF block format.
struct GgufBlock {
  uint32_t format;
  uint32_t values;  // consecutive weights of a block
  uint32_t bytes;
  uint32_t group;     // values that share a scale
  int32_t code_zero;  // nibbles: what is subtracted from a code
  bool has_min;
  bool is_nibble;  // codes are 0 .. 15, else s8
};

// Null if `format` is not one.
const GgufBlock* find_gguf_block(uint32_t format);

// One block.  A value is scale * (code - code_zero) + min of its group.
struct GgufValues {
  int8_t codes[256];
  float scales[16];  // by group of the block
  float mins[16];
};

// Fills the codes, and the scales and minima of the groups.
void split_gguf_block(const GgufBlock& kind, const std::byte* block,
                      GgufValues& out);

}  // namespace tessera::vulkan
