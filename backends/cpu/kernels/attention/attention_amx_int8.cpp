// SPDX-License-Identifier: Apache-2.0
//
// Integer attention (fa3) by tiles of AMX.

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/amx_integer_products.hpp"

namespace tessera::cpu {

AttentionFunctions attention_amx_int8() {
  return integer<Avx512, AmxIntegerProducts<AmxTiles>>();
}

}  // namespace tessera::cpu
