// SPDX-License-Identifier: Apache-2.0
//
// MXFP4 and NVFP4 as GGUF has them: scales and codes of a block together, codes
// split in halves.  Other than the blocks of gguf_block.hpp no kernel sees
// these; fp4_layout.hpp turns them into planes.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::format {

// 0 e E8M0 | 1 qs[16]: value j in the low nibble of qs[j], j + 16 in the high
// one; 2^(e - 127) * E2M1.  The byte 255 is a number here, not NaN.
inline constexpr uint32_t kGgufMxfp4Values = 32;
inline constexpr uint32_t kGgufMxfp4Bytes = 17;

// 0 scales[4] | 4 qs[32]: 16 values each; those of scale k lie in qs + 8 k,
// value j in the low nibble of byte j, j + 8 in the high one; scale * E2M1.
inline constexpr uint32_t kGgufNvfp4Values = 64;
inline constexpr uint32_t kGgufNvfp4Bytes = 36;

// One block, bit for bit as ggml makes it: of two codes that are equally near
// the one of smaller magnitude, and 0 for all that rounds to zero.  An NVFP4
// tensor's own scale is no part of this: divide by it first.
//
// The exponent of MXFP4 is floor(log2 amax) - 2, exactly; ggml takes log2 in
// f32, which is one more where amax is within rounding below a power of two.
//
// Requires  x finite
// Source    ggml-quants.c, quantize_row_mxfp4_ref, quantize_row_nvfp4_ref
void encode_gguf_mxfp4(const float* x, std::byte* out_block);
void encode_gguf_nvfp4(const float* x, std::byte* out_block);

// The values of one block, exactly.
void decode_gguf_mxfp4(const std::byte* block, double* out_values);
void decode_gguf_nvfp4(const std::byte* block, double* out_values);

// A scale of GGUF's NVFP4: E4M3 without a sign (bit 7 is skipped), where 0x7f
// is 0 and 0xff is 480.
double gguf_nvfp4_scale(uint8_t code);

// The code that ggml stores: mantissas rounded half up, 448 from 248 up, 7 (not
// 8) where a subnormal rounds to the smallest normal number.
uint8_t gguf_nvfp4_scale_code(float scale);

}  // namespace tessera::format
