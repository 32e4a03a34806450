// SPDX-License-Identifier: Apache-2.0

#include "framework/tensor/dtype.hpp"

#include "tessera/types.h"

namespace tessera {
namespace {

struct DtypeRow {
  uint32_t dtype;
  uint32_t bits;
  std::string_view name;
};

constexpr DtypeRow kDtypes[] = {
    {TSR_F32, 32, "f32"},      {TSR_F16, 16, "f16"},
    {TSR_BF16, 16, "bf16"},    {TSR_I32, 32, "i32"},
    {TSR_I8, 8, "i8"},         {TSR_U8, 8, "u8"},
    {TSR_I4, 4, "i4"},         {TSR_U4, 4, "u4"},
    {TSR_F8E4M3, 8, "f8e4m3"}, {TSR_F8E5M2, 8, "f8e5m2"},
    {TSR_F4E2M1, 4, "f4e2m1"}, {TSR_E8M0, 8, "e8m0"},
    {TSR_I64, 64, "i64"},
};

}  // namespace

uint32_t dtype_bits(uint32_t dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.bits;
  }
  return 0;
}

size_t dtype_bytes(uint32_t dtype, size_t count) {
  return (count * dtype_bits(dtype) + 7) / 8;
}

std::string dtype_name(uint32_t dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return std::string(row.name);
  }
  return "dtype " + std::to_string(dtype);
}

uint32_t dtype_from_name(std::string_view name) {
  for (const DtypeRow& row : kDtypes) {
    if (row.name == name) return row.dtype;
  }
  return TSR_DTYPE_NONE;
}

}  // namespace tessera
