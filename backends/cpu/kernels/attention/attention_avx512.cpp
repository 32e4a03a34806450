// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append for AVX-512.

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

AttentionFunctions attention_avx512(uint32_t kv_format) {
  return choose<Avx512, PlainProducts<Avx512>>(kv_format);
}

KvAppendFunction kv_append_avx512() { return KvAppender<Avx512>::run; }

}  // namespace tessera::cpu
