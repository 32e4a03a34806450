// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for scalar.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_scalar.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_scalar() {
  static constexpr FloatKernelSet kSet = {
      DenseDot<Scalar, TSR_F32>::run,  DenseDot<Scalar, TSR_F16>::run,
      DenseDot<Scalar, TSR_BF16>::run, TileDot<Scalar, I8Codes>::run,
      TileDot<Scalar, U4Codes>::run,   Panel<Scalar>::run,
      LinearRows<Scalar>::ops(),
  };
  return kSet;
}

}  // namespace tessera::cpu
