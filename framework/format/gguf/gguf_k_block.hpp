// SPDX-License-Identifier: Apache-2.0
//
// The part of gguf_block.hpp for super-blocks of 256 values.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::format {

// Q2_K, Q3_K, Q4_K, Q5_K and Q6_K, as decode_gguf_block.
void decode_k_block(uint32_t format, const std::byte* block,
                    double* out_values);

// Q4_K, Q5_K and Q6_K, as encode_gguf_block.
void encode_k_block(uint32_t format, const float* x, const float* importance,
                    std::byte* out_block);

}  // namespace tessera::format
