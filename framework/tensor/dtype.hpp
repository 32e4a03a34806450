// SPDX-License-Identifier: Apache-2.0
//
// Element types of tensors: their names and sizes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

// Bits of one element of `dtype` (TSR_F32 ...); 0 for an unknown one.
uint32_t dtype_bits(uint32_t dtype);

// Bytes of `count` consecutive elements, rounded up to a whole byte.
size_t dtype_bytes(uint32_t dtype, size_t count);

// "f32", "bf16", "i4" ...; "dtype 99" for an unknown one.
std::string dtype_name(uint32_t dtype);

// The dtype of that name; TSR_DTYPE_NONE if there is none.
uint32_t dtype_from_name(std::string_view name);

}  // namespace tessera
