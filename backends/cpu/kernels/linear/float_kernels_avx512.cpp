// SPDX-License-Identifier: Apache-2.0
//
// The float kernels for avx512.

#include "backends/cpu/kernels/linear/float_kernels.hpp"
#include "backends/cpu/kernels/linear/row_ops.hpp"
#include "backends/cpu/kernels/linear/tile_avx512.hpp"

namespace tessera::cpu {

const FloatKernelSet& float_kernels_avx512() {
  static constexpr FloatKernelSet kSet = {
      DenseDot<Avx512, TSR_F32>::run,  DenseDot<Avx512, TSR_F16>::run,
      DenseDot<Avx512, TSR_BF16>::run, TileDot<Avx512, I8Codes>::run,
      TileDot<Avx512, U4Codes>::run,   Panel<Avx512>::run,
      LinearRows<Avx512>::ops(),
  };
  return kSet;
}

}  // namespace tessera::cpu
