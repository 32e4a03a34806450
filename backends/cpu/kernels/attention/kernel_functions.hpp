// SPDX-License-Identifier: Apache-2.0
//
// What the files built for one ISA hand out to the tables.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/attention/kv_append.hpp"

namespace tessera::cpu {

struct AttentionFunctions {
  void (*prepare)(const AttentionWork& work);
  void (*run)(const AttentionWork& work);
  void (*combine)(const AttentionWork& work);
  int64_t rows_together = 0;
};

// For a TSR_KV_* format.
AttentionFunctions attention_scalar(uint32_t kv_format);
AttentionFunctions attention_avx2(uint32_t kv_format);
AttentionFunctions attention_avx512(uint32_t kv_format);
// TSR_KV_BF16, I8_TOKEN and I8_CHANNEL only; round q and weights to bf16.
AttentionFunctions attention_avx512bf16(uint32_t kv_format);
AttentionFunctions attention_amx_bf16(uint32_t kv_format);
// TSR_KV_I8_HEAD only.
AttentionFunctions attention_avx512vnni();
AttentionFunctions attention_amx_int8();

using KvAppendFunction = void (*)(const KvAppend& op, int64_t token_begin,
                                  int64_t token_end);
KvAppendFunction kv_append_scalar();
KvAppendFunction kv_append_avx2();
KvAppendFunction kv_append_avx512();

}  // namespace tessera::cpu
