// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for avx2.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_avx2.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_avx2() {
  static constexpr FloatKernelSet kSet = {
      DenseDot<Avx2, TSR_F32>::run,  DenseDot<Avx2, TSR_F16>::run,
      DenseDot<Avx2, TSR_BF16>::run, TileDot<Avx2, I8Codes>::run,
      TileDot<Avx2, U4Codes>::run,   Panel<Avx2>::run,
      LinearRows<Avx2>::ops(),
  };
  return kSet;
}

}  // namespace tessera::cpu
