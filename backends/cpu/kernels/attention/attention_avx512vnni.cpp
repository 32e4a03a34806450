// SPDX-License-Identifier: Apache-2.0
//
// Integer attention (fa3) for AVX-512 VNNI.

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/integer_products_vnni.hpp"

namespace tessera::cpu {

AttentionFunctions attention_avx512vnni() {
  return integer<Avx512, VnniProducts>();
}

}  // namespace tessera::cpu
