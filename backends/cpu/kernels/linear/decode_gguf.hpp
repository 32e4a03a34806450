// SPDX-License-Identifier: Apache-2.0
//
// GGUF blocks that are read in place, as numbers: the part of decode.hpp for
// Q2_K and Q3_K.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::cpu {

// All values of one block, each rounded once to f32.
//
// Requires  format is TSR_WEIGHT_Q2_K or TSR_WEIGHT_Q3_K
// Source    the drawings of tessera/types.h
void decode_gguf_block(uint32_t format, const std::byte* block, float* out);

}  // namespace tessera::cpu
