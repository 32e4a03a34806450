// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for avx512.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_avx512.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_avx512() {
  static constexpr FloatKernelSet kSet = float_kernel_set<Avx512>();
  return kSet;
}

const LinearRowOps& linear_row_ops_avx512() {
  static constexpr LinearRowOps kOps = LinearRows<Avx512>::ops();
  return kOps;
}

}  // namespace tessera::cpu
