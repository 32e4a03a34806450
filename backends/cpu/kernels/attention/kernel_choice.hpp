// SPDX-License-Identifier: Apache-2.0
//
// The kernel templates instantiated for each KV format; included by the one
// file per ISA.

#pragma once

#include "backends/cpu/kernels/attention/attention_kernel.hpp"
#include "backends/cpu/kernels/attention/integer_kernel.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"
#include "backends/cpu/kernels/attention/kv_append_kernel.hpp"
#include "backends/cpu/kernels/attention/products/float_products.hpp"

namespace tessera::cpu {

template <typename V, uint32_t kFormat, uint32_t kDtype>
AttentionFunctions streaming() {
  using Kernel = StreamingAttention<V, kFormat, FloatProducts<V, kDtype>>;
  return {nullptr, Kernel::run, Kernel::combine, Kernel::kRowsTogether};
}

template <typename V, typename N>
AttentionFunctions integer() {
  using Kernel = IntegerAttention<V, N>;
  return {Kernel::prepare, Kernel::run, Kernel::combine};
}

template <typename V, typename N>
AttentionFunctions choose(uint32_t kv_format) {
  switch (kv_format) {
    case TSR_KV_F32:
      return streaming<V, TSR_KV_F32, TSR_F32>();
    case TSR_KV_F16:
      return streaming<V, TSR_KV_F16, TSR_F16>();
    case TSR_KV_BF16:
      return streaming<V, TSR_KV_BF16, TSR_BF16>();
    case TSR_KV_I8_TOKEN:
      return streaming<V, TSR_KV_I8_TOKEN, TSR_I8>();
    case TSR_KV_I8_CHANNEL:
      return streaming<V, TSR_KV_I8_CHANNEL, TSR_I8>();
    default:
      return integer<V, N>();
  }
}

}  // namespace tessera::cpu
