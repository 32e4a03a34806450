// SPDX-License-Identifier: Apache-2.0
//
// Many elements at once: what element.hpp and encode_group.hpp define, fast
// enough for whole models.  Every result has the bits of theirs.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "framework/format/encode_group.hpp"

namespace tessera::format {

// Elements first, first + 1, ... of `row`, widened to f32.
// Requires  dtype F32, F16 or BF16
void read_floats(uint32_t dtype, const std::byte* row, size_t first,
                 std::span<float> out);

bool all_finite(std::span<const float> values);

// integer_code() of every value.
// Requires  finite values; as many codes
void integer_codes(const IntegerGrid& grid, GroupScale group,
                   std::span<const float> values, std::span<int32_t> out_codes);

// scale * (code - zero point), in f32.
// Requires  as many values
void integer_values(GroupScale group, std::span<const int32_t> codes,
                    std::span<float> out_values);

// Elements first, first + 1, ... of `row` become `codes`, and back.
//
// Requires  dtype I8, U8, I4 or U4; codes in its range; no other thread writes
//           to the row
void store_codes(uint32_t dtype, std::span<const int32_t> codes, size_t first,
                 std::byte* row);
void load_codes(uint32_t dtype, const std::byte* row, size_t first,
                std::span<int32_t> out_codes);

}  // namespace tessera::format
