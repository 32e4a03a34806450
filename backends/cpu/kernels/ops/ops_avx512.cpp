// SPDX-License-Identifier: Apache-2.0
//
// The small ops for AVX-512.

#include "backends/cpu/kernels/ops/ops_table.hpp"
#include "backends/cpu/kernels/ops/row_kernels.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

RowKernelSet row_kernels_avx512() {
  using Kernels = RowKernels<Avx512>;
  return {Kernels::rms_norm, Kernels::layer_norm, Kernels::rope,
          Kernels::add,      Kernels::silu_mul,   Kernels::gelu,
          Kernels::softmax,  Kernels::gather};
}

}  // namespace tessera::cpu
