// SPDX-License-Identifier: Apache-2.0
//
// The table of linear kernels.

#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {
namespace {

// Steps of at most so many rows are bound by memory: their kernels multiply
// straight from the stored codes.
constexpr int64_t kFewRows = 4;

bool matches(WeightKind kind, const WeightShape& shape, bool has_dense_rows) {
  switch (kind) {
    case WeightKind::kF32Rows:
      return has_dense_rows && shape.format == TSR_WEIGHT_F32;
    case WeightKind::kF16Rows:
      return has_dense_rows && shape.format == TSR_WEIGHT_F16;
    case WeightKind::kBF16Rows:
      return has_dense_rows && shape.format == TSR_WEIGHT_BF16;
    case WeightKind::kI8Tiles:
      return shape.layout == Layout::kI8Tiles;
    case WeightKind::kU4Tiles:
      return shape.layout == Layout::kU4Tiles;
    case WeightKind::kAny:
      return true;
  }
  return false;
}

}  // namespace

std::span<const LinearKernel> linear_kernels() {
  static const FloatKernelSet& scalar = float_kernels_scalar();
  static const FloatKernelSet& avx2 = float_kernels_avx2();
  static const FloatKernelSet& avx512 = float_kernels_avx512();
  using enum WeightKind;
  constexpr int64_t kFew = kFewRows;
  // clang-format off
  static const LinearKernel kernels[] = {
      //  kernel                          ISA               weight     max M  zeros  float             integer
      {"linear_f32_f32__avx512_4x4",      Isa::kAvx512,     kF32Rows,  kFew,  false, avx512.f32_rows,  nullptr},
      {"linear_f32_f16__avx512_4x4",      Isa::kAvx512,     kF16Rows,  kFew,  false, avx512.f16_rows,  nullptr},
      {"linear_f32_bf16__avx512_4x4",     Isa::kAvx512,     kBF16Rows, kFew,  false, avx512.bf16_rows, nullptr},
      {"linear_f32_i8__avx512_4x16",      Isa::kAvx512,     kI8Tiles,  kFew,  false, avx512.i8_tiles,  nullptr},
      {"linear_f32_u4__avx512_4x16",      Isa::kAvx512,     kU4Tiles,  kFew,  false, avx512.u4_tiles,  nullptr},
      {"linear_f32_any__avx512_6x64",     Isa::kAvx512,     kAny,      0,     false, avx512.panel,     nullptr},
      {"linear_f32_f32__avx2_2x2",        Isa::kAvx2,       kF32Rows,  kFew,  false, avx2.f32_rows,    nullptr},
      {"linear_f32_f16__avx2_2x2",        Isa::kAvx2,       kF16Rows,  kFew,  false, avx2.f16_rows,    nullptr},
      {"linear_f32_bf16__avx2_2x2",       Isa::kAvx2,       kBF16Rows, kFew,  false, avx2.bf16_rows,   nullptr},
      {"linear_f32_i8__avx2_2x16",        Isa::kAvx2,       kI8Tiles,  kFew,  false, avx2.i8_tiles,    nullptr},
      {"linear_f32_u4__avx2_2x16",        Isa::kAvx2,       kU4Tiles,  kFew,  false, avx2.u4_tiles,    nullptr},
      {"linear_f32_any__avx2_6x16",       Isa::kAvx2,       kAny,      0,     false, avx2.panel,       nullptr},
      {"linear_f32_f32__scalar_2x4",      Isa::kScalar,     kF32Rows,  kFew,  false, scalar.f32_rows,  nullptr},
      {"linear_f32_f16__scalar_2x4",      Isa::kScalar,     kF16Rows,  kFew,  false, scalar.f16_rows,  nullptr},
      {"linear_f32_bf16__scalar_2x4",     Isa::kScalar,     kBF16Rows, kFew,  false, scalar.bf16_rows, nullptr},
      {"linear_f32_i8__scalar_2x16",      Isa::kScalar,     kI8Tiles,  kFew,  false, scalar.i8_tiles,  nullptr},
      {"linear_f32_u4__scalar_2x16",      Isa::kScalar,     kU4Tiles,  kFew,  false, scalar.u4_tiles,  nullptr},
      {"linear_f32_any__scalar_2x16",     Isa::kScalar,     kAny,      0,     false, scalar.panel,     nullptr},
      {"linear_i8_i8__avx512vnni_6x64",   Isa::kAvx512Vnni, kI8Tiles,  0,     true,  nullptr,          integer_i8_tiles_avx512vnni},
      {"linear_i8_u4__avx512vnni_4x64",   Isa::kAvx512Vnni, kU4Tiles,  0,     true,  nullptr,          integer_u4_tiles_avx512vnni},
      {"linear_i8_i8__avx2_2x16",         Isa::kAvx2,       kI8Tiles,  0,     true,  nullptr,          integer_i8_tiles_avx2},
      {"linear_i8_u4__avx2_2x16",         Isa::kAvx2,       kU4Tiles,  0,     true,  nullptr,          integer_u4_tiles_avx2},
      {"linear_i8_any__scalar",           Isa::kScalar,     kAny,      0,     false, nullptr,          integer_any_scalar},
  };
  // clang-format on
  return kernels;
}

bool fits(const LinearKernel& kernel, const WeightShape& shape,
          bool has_dense_rows, bool is_integer, int64_t M) {
  const bool is_mode =
      is_integer ? kernel.run_integer != nullptr : kernel.run_float != nullptr;
  return is_mode && (kernel.max_M == 0 || M <= kernel.max_M) &&
         !(kernel.needs_no_zeros && shape.has_zeros) &&
         matches(kernel.weight, shape, has_dense_rows);
}

const LinearKernel& select_linear_kernel(const WeightShape& shape,
                                         bool has_dense_rows, bool is_integer,
                                         int64_t M, Isa best) {
  const auto kernels = linear_kernels();
  for (const LinearKernel& kernel : kernels) {
    if (kernel.isa <= best &&
        fits(kernel, shape, has_dense_rows, is_integer, M)) {
      return kernel;
    }
  }
  return kernels.back();
}

const LinearRowOps& linear_row_ops(Isa best) {
  if (best >= Isa::kAvx512) return float_kernels_avx512().row_ops;
  if (best >= Isa::kAvx2) return float_kernels_avx2().row_ops;
  return float_kernels_scalar().row_ops;
}

}  // namespace tessera::cpu
