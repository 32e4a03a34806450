// SPDX-License-Identifier: Apache-2.0
//
// GGUF blocks as numbers: the part of decode.hpp for formats that keep scales
// and codes together.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::cpu {

// All values of one block, each rounded once to f32.
//
// Requires  a format that find_gguf_block knows
// Source    the drawings of tessera/types.h
void decode_gguf_block(uint32_t format, const std::byte* block, float* out);

}  // namespace tessera::cpu
