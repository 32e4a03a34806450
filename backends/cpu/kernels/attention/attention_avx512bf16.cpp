// SPDX-License-Identifier: Apache-2.0
//
// Attention over bf16 and int8 caches for AVX-512 BF16.

#include "backends/cpu/kernels/attention/attention_kernel.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"
#include "backends/cpu/kernels/attention/products/bf16_products.hpp"

namespace tessera::cpu {
namespace {

template <uint32_t kFormat, uint32_t kDtype>
AttentionFunctions streaming_bf16() {
  using Kernel = StreamingAttention<Avx512Bf16, kFormat, Bf16Products<kDtype>>;
  return {nullptr, Kernel::run, Kernel::combine, Kernel::kRowsTogether};
}

}  // namespace

AttentionFunctions attention_avx512bf16(uint32_t kv_format) {
  switch (kv_format) {
    case TSR_KV_BF16:
      return streaming_bf16<TSR_KV_BF16, TSR_BF16>();
    case TSR_KV_I8_TOKEN:
      return streaming_bf16<TSR_KV_I8_TOKEN, TSR_I8>();
    default:
      return streaming_bf16<TSR_KV_I8_CHANNEL, TSR_I8>();
  }
}

}  // namespace tessera::cpu
