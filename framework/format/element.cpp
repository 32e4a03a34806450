// SPDX-License-Identifier: Apache-2.0
//
// The dtype switches behind element.hpp.

#include "framework/format/element.hpp"

#include <cassert>

#include "framework/format/small_float.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {

double element_value(uint32_t dtype, const std::byte* row, size_t index) {
  const auto byte = [&] { return load_element<uint8_t>(row, index); };
  switch (dtype) {
    case TSR_F32:
      return load_element<float>(row, index);
    case TSR_F16:
      return f16_to_f32(load_element<uint16_t>(row, index));
    case TSR_BF16:
      return bf16_to_f32(load_element<uint16_t>(row, index));
    case TSR_I32:
      return load_element<int32_t>(row, index);
    case TSR_I64:
      return static_cast<double>(load_element<int64_t>(row, index));
    case TSR_I8:
      return load_element<int8_t>(row, index);
    case TSR_U8:
      return byte();
    case TSR_I4:  // two's complement of four bits
      return static_cast<int32_t>(nibble(row, index) ^ 8U) - 8;
    case TSR_U4:
      return nibble(row, index);
    case TSR_F8E4M3:
      return f8e4m3_to_f32(byte());
    case TSR_F8E5M2:
      return f8e5m2_to_f32(byte());
    case TSR_F4E2M1:
      return f4e2m1_to_f32(static_cast<uint8_t>(nibble(row, index)));
    case TSR_E8M0:
      return e8m0_to_f32(byte());
    default:
      assert(false && "unknown dtype");
      return 0.0;
  }
}

void set_element_value(uint32_t dtype, std::byte* row, size_t index,
                       float value) {
  switch (dtype) {
    case TSR_F32:
      return store_element(row, index, value);
    case TSR_F16:
      return store_element(row, index, f32_to_f16(value));
    case TSR_BF16:
      return store_element(row, index, f32_to_bf16(value));
    case TSR_I32:
      return store_element(row, index, static_cast<int32_t>(value));
    case TSR_I64:
      return store_element(row, index, static_cast<int64_t>(value));
    case TSR_I8:
      return store_element(row, index, static_cast<int8_t>(value));
    case TSR_U8:
      return store_element(row, index, static_cast<uint8_t>(value));
    case TSR_I4:
    case TSR_U4:
      return set_nibble(
          row, index, static_cast<uint32_t>(static_cast<int32_t>(value)) & 15U);
    case TSR_F8E4M3:
      return store_element(row, index, f32_to_f8e4m3(value));
    case TSR_F8E5M2:
      return store_element(row, index, f32_to_f8e5m2(value));
    case TSR_F4E2M1:
      return set_nibble(row, index, f32_to_f4e2m1(value));
    case TSR_E8M0:
      return store_element(row, index, f32_to_e8m0(value));
    default:
      assert(false && "unknown dtype");
  }
}

}  // namespace tessera::format
