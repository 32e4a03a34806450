// SPDX-License-Identifier: Apache-2.0
//
// The small ops for any x86-64 or other CPU.

#include "backends/cpu/kernels/ops/ops_table.hpp"
#include "backends/cpu/kernels/ops/row_kernels.hpp"
#include "backends/cpu/kernels/ops/simd_scalar.hpp"

namespace tessera::cpu {

RowKernelSet row_kernels_scalar() {
  using Kernels = RowKernels<Scalar>;
  return {Kernels::rms_norm, Kernels::layer_norm, Kernels::rope,
          Kernels::add,      Kernels::silu_mul,   Kernels::gelu,
          Kernels::softmax,  Kernels::gather};
}

}  // namespace tessera::cpu
