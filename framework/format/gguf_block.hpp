// SPDX-License-Identifier: Apache-2.0
//
// GGUF block formats: blocks of 32 or 256 consecutive weights of a row, laid
// out as tessera/types.h draws them.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::format {

struct GgufBlock {
  uint32_t format;  // TSR_WEIGHT_Q4_0 ...
  uint32_t values;  // per block
  uint32_t bytes;
  bool has_encoder;
};

// The shape of a block; null if `format` is not a GGUF format.
const GgufBlock* find_gguf_block(uint32_t format);

// Encodes one block of 32 values, bit for bit as the published rounding has it:
// truncation after an added constant, half away from zero in Q8_0, codes from
// the unrounded d.
//
// Requires  x finite; format Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0.
// Source    ggml-quants.c, quantize_row_*_ref.
void encode_gguf_block(uint32_t format, const float* x, std::byte* out_block);

// The values of one block, exactly: what ggml has in f32 is this, rounded once.
//
// Requires  a format that find_gguf_block knows.
// Source    ggml-quants.c, dequantize_row_*.
void decode_gguf_block(uint32_t format, const std::byte* block,
                       double* out_values);

}  // namespace tessera::format
