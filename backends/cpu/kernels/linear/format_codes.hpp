// SPDX-License-Identifier: Apache-2.0
//
// A row of a weight of kTileFormats taken apart: its codes as integers, and the
// bytes of its scales.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::cpu {

// The integer codes of `K` columns of a row that are `format`'s CODES plane, as
// kTileFormats stores them: nibbles with their high bits, or bytes.  Not BF16.
//
// Requires  out holds K codes, rounded up to a GGUF block's values
void read_codes(uint32_t format, const std::byte* row, int64_t K, uint8_t* out);

// Where the scales of a GGUF block lie in it.
struct BlockParts {
  int64_t values;
  int64_t bytes;
  int64_t scale;  // f16
  int64_t min;    // f16; -1 if there is none
  int64_t codes;  // u8[12] of Q4_K and Q5_K, i8[16] of Q6_K; else -1
};

// Requires  a GGUF format of kTileFormats
BlockParts block_parts(uint32_t format);

}  // namespace tessera::cpu
