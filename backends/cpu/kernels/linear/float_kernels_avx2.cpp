// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for avx2.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_avx2.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_avx2() {
  static constexpr FloatKernelSet kSet = float_kernel_set<Avx2>();
  return kSet;
}

const LinearRowOps& linear_row_ops_avx2() {
  static constexpr LinearRowOps kOps = LinearRows<Avx2>::ops();
  return kOps;
}

}  // namespace tessera::cpu
