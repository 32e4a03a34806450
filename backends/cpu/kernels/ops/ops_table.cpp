// SPDX-License-Identifier: Apache-2.0
//
// The rows of ops_table.hpp.

#include "backends/cpu/kernels/ops/ops_table.hpp"

namespace tessera::cpu {
namespace {

const RowKernelSet& scalar() {
  static const RowKernelSet set = row_kernels_scalar();
  return set;
}

const RowKernelSet& avx2() {
  static const RowKernelSet set = row_kernels_avx2();
  return set;
}

const RowKernelSet& avx512() {
  static const RowKernelSet set = row_kernels_avx512();
  return set;
}

}  // namespace

// Best first.
// clang-format off
template <>
std::span<const OpKernel<RmsNorm>> op_kernels() {
  static const OpKernel<RmsNorm> rows[] = {
      {"rms_norm__avx512", Isa::kAvx512, avx512().rms_norm},
      {"rms_norm__avx2", Isa::kAvx2, avx2().rms_norm},
      {"rms_norm__scalar", Isa::kScalar, scalar().rms_norm},
  };
  return rows;
}

template <>
std::span<const OpKernel<LayerNorm>> op_kernels() {
  static const OpKernel<LayerNorm> rows[] = {
      {"layer_norm__avx512", Isa::kAvx512, avx512().layer_norm},
      {"layer_norm__avx2", Isa::kAvx2, avx2().layer_norm},
      {"layer_norm__scalar", Isa::kScalar, scalar().layer_norm},
  };
  return rows;
}

template <>
std::span<const OpKernel<Rope>> op_kernels() {
  static const OpKernel<Rope> rows[] = {
      {"rope__avx512", Isa::kAvx512, avx512().rope},
      {"rope__avx2", Isa::kAvx2, avx2().rope},
      {"rope__scalar", Isa::kScalar, scalar().rope},
  };
  return rows;
}

template <>
std::span<const OpKernel<Add>> op_kernels() {
  static const OpKernel<Add> rows[] = {
      {"add__avx512", Isa::kAvx512, avx512().add},
      {"add__avx2", Isa::kAvx2, avx2().add},
      {"add__scalar", Isa::kScalar, scalar().add},
  };
  return rows;
}

template <>
std::span<const OpKernel<SiluMul>> op_kernels() {
  static const OpKernel<SiluMul> rows[] = {
      {"silu_mul__avx512", Isa::kAvx512, avx512().silu_mul},
      {"silu_mul__avx2", Isa::kAvx2, avx2().silu_mul},
      {"silu_mul__scalar", Isa::kScalar, scalar().silu_mul},
  };
  return rows;
}

template <>
std::span<const OpKernel<Gelu>> op_kernels() {
  static const OpKernel<Gelu> rows[] = {
      {"gelu__avx512", Isa::kAvx512, avx512().gelu},
      {"gelu__avx2", Isa::kAvx2, avx2().gelu},
      {"gelu__scalar", Isa::kScalar, scalar().gelu},
  };
  return rows;
}

template <>
std::span<const OpKernel<Softmax>> op_kernels() {
  static const OpKernel<Softmax> rows[] = {
      {"softmax__avx512", Isa::kAvx512, avx512().softmax},
      {"softmax__avx2", Isa::kAvx2, avx2().softmax},
      {"softmax__scalar", Isa::kScalar, scalar().softmax},
  };
  return rows;
}

template <>
std::span<const OpKernel<Gather>> op_kernels() {
  static const OpKernel<Gather> rows[] = {
      {"gather__avx512", Isa::kAvx512, avx512().gather},
      {"gather__avx2", Isa::kAvx2, avx2().gather},
      {"gather__scalar", Isa::kScalar, scalar().gather},
  };
  return rows;
}

// clang-format on

}  // namespace tessera::cpu
