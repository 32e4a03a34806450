// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for scalar.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_scalar.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_scalar() {
  static constexpr FloatKernelSet kSet = float_kernel_set<Scalar>();
  return kSet;
}

const LinearRowOps& linear_row_ops_scalar() {
  static constexpr LinearRowOps kOps = LinearRows<Scalar>::ops();
  return kOps;
}

}  // namespace tessera::cpu
