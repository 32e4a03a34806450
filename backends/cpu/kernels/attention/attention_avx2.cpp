// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append for AVX2.

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/ops/simd_avx2.hpp"

namespace tessera::cpu {

AttentionFunctions attention_avx2(uint32_t kv_format) {
  return choose<Avx2, PlainProducts<Avx2>>(kv_format);
}

KvAppendFunction kv_append_avx2() { return KvAppender<Avx2>::run; }

}  // namespace tessera::cpu
