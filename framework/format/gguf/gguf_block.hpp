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

// Encodes one block.
//
// Without `importance` the bytes are those of ggml's reference quantizers:
// blocks of 32 truncate after an added constant (Q8_0: half away from zero) and
// take codes from the unrounded d; Q4_K, Q5_K and Q6_K search for the scales of
// their sub-blocks by least squares.
//
// `importance` holds a weight per value, such as the mean squared activation of
// its column; all formats but Q8_0 then choose scales that lower the weighted
// squared error.  Weights that are zero all over a block are ignored.
//
// Requires  x finite; importance finite, >= 0, or null; a format with an
//           encoder
// Source    ggml-quants.c, quantize_row_*_ref and what quantize_* says of its
//           quant_weights
void encode_gguf_block(uint32_t format, const float* x, const float* importance,
                       std::byte* out_block);

// The values of one block, exactly: what ggml has in f32 is this, rounded once.
//
// Requires  a format that find_gguf_block knows.
// Source    ggml-quants.c, dequantize_row_*.
void decode_gguf_block(uint32_t format, const std::byte* block,
                       double* out_values);

}  // namespace tessera::format
