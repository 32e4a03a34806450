// SPDX-License-Identifier: Apache-2.0
//
// Integer attention (fa3) for AVX-512 VNNI.

#include "backends/cpu/kernels/attention/integer_products_vnni.hpp"
#include "backends/cpu/kernels/attention/kernel_choice.hpp"

namespace tessera::cpu {

AttentionFunctions attention_avx512vnni() {
  return integer<Avx512, VnniProducts>();
}

}  // namespace tessera::cpu
