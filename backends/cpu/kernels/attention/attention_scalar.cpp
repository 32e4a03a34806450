// SPDX-License-Identifier: Apache-2.0
//
// Attention and kv_append for any CPU.

#include "backends/cpu/kernels/attention/kernel_choice.hpp"
#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/ops/simd_scalar.hpp"

namespace tessera::cpu {

AttentionFunctions attention_scalar(uint32_t kv_format) {
  return choose<Scalar, PlainProducts<Scalar>>(kv_format);
}

KvAppendFunction kv_append_scalar() { return KvAppender<Scalar>::run; }

}  // namespace tessera::cpu
