// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention by tiles of AMX over any `Tiles` with the members of
// AmxTiles.  Only files compiled for AVX-512 BF16 and VBMI may include this.

#pragma once

#include "backends/cpu/kernels/attention/attention_kernel.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"
#include "backends/cpu/kernels/attention/products/amx_bf16_products.hpp"

namespace tessera::cpu {

template <typename Tiles, uint32_t kFormat, uint32_t kDtype>
AttentionFunctions streaming_by_amx() {
  using Kernel =
      StreamingAttention<Avx512Bf16, kFormat, AmxBf16Products<Tiles, kDtype>>;
  return {nullptr, Kernel::run, Kernel::combine};
}

// For TSR_KV_BF16, I8_TOKEN and I8_CHANNEL.
template <typename Tiles>
AttentionFunctions attention_by_amx(uint32_t kv_format) {
  switch (kv_format) {
    case TSR_KV_BF16:
      return streaming_by_amx<Tiles, TSR_KV_BF16, TSR_BF16>();
    case TSR_KV_I8_TOKEN:
      return streaming_by_amx<Tiles, TSR_KV_I8_TOKEN, TSR_I8>();
    default:
      return streaming_by_amx<Tiles, TSR_KV_I8_CHANNEL, TSR_I8>();
  }
}

}  // namespace tessera::cpu
