// SPDX-License-Identifier: Apache-2.0
//
// Attention over bf16 and int8 caches by tiles of AMX.

#include "backends/cpu/kernels/attention/attention_amx.hpp"

namespace tessera::cpu {

AttentionFunctions attention_amx_bf16(uint32_t kv_format) {
  return attention_by_amx<AmxTiles>(kv_format);
}

}  // namespace tessera::cpu
