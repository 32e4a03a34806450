// SPDX-License-Identifier: Apache-2.0
//
// The small ops for AVX2.

#include "backends/cpu/kernels/ops/ops_table.hpp"
#include "backends/cpu/kernels/ops/row_kernels.hpp"
#include "backends/cpu/kernels/ops/simd_avx2.hpp"

namespace tessera::cpu {

RowKernelSet row_kernels_avx2() {
  using Kernels = RowKernels<Avx2>;
  return {Kernels::rms_norm, Kernels::layer_norm, Kernels::rope,
          Kernels::add,      Kernels::silu_mul,   Kernels::gelu,
          Kernels::softmax,  Kernels::gather};
}

}  // namespace tessera::cpu
