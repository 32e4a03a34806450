// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/amx_integer_products.hpp"
#include "tests/unit/backends/cpu/amx/emulated_tiles.hpp"
#include "tests/unit/backends/cpu/attention/runnable_kernels.hpp"

namespace tessera::cpu {

AttentionFunctions emulated_int8() {
  return integer<Avx512, AmxIntegerProducts<EmulatedTiles>>();
}

}  // namespace tessera::cpu
