// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/attention/attention_amx.hpp"
#include "tests/unit/backends/cpu/amx/emulated_tiles.hpp"
#include "tests/unit/backends/cpu/attention/runnable_kernels.hpp"

namespace tessera::cpu {

AttentionFunctions emulated_bf16(uint32_t kv_format) {
  return attention_by_amx<EmulatedTiles>(kv_format);
}

}  // namespace tessera::cpu
