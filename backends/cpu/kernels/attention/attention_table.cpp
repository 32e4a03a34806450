// SPDX-License-Identifier: Apache-2.0
//
// The table of attention kernels.

#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"

namespace tessera::cpu {
namespace {

AttentionKernel row(const char* name, Isa isa, uint32_t kv_format,
                    const AttentionFunctions& functions) {
  return {name,          isa,
          kv_format,     functions.prepare,
          functions.run, functions.combine};
}

}  // namespace

std::span<const AttentionKernel> attention_kernels() {
  // clang-format off
  static const AttentionKernel rows[] = {
      row("attention_fa3_i8h__avx512vnni",  Isa::kAvx512Vnni, TSR_KV_I8_HEAD,    attention_avx512vnni()),
      row("attention_paged_f32__avx512",    Isa::kAvx512,     TSR_KV_F32,        attention_avx512(TSR_KV_F32)),
      row("attention_paged_f16__avx512",    Isa::kAvx512,     TSR_KV_F16,        attention_avx512(TSR_KV_F16)),
      row("attention_paged_bf16__avx512",   Isa::kAvx512,     TSR_KV_BF16,       attention_avx512(TSR_KV_BF16)),
      row("attention_paged_i8t__avx512",    Isa::kAvx512,     TSR_KV_I8_TOKEN,   attention_avx512(TSR_KV_I8_TOKEN)),
      row("attention_paged_i8c__avx512",    Isa::kAvx512,     TSR_KV_I8_CHANNEL, attention_avx512(TSR_KV_I8_CHANNEL)),
      row("attention_fa3_i8h__avx512",      Isa::kAvx512,     TSR_KV_I8_HEAD,    attention_avx512(TSR_KV_I8_HEAD)),
      row("attention_paged_f32__avx2",      Isa::kAvx2,       TSR_KV_F32,        attention_avx2(TSR_KV_F32)),
      row("attention_paged_f16__avx2",      Isa::kAvx2,       TSR_KV_F16,        attention_avx2(TSR_KV_F16)),
      row("attention_paged_bf16__avx2",     Isa::kAvx2,       TSR_KV_BF16,       attention_avx2(TSR_KV_BF16)),
      row("attention_paged_i8t__avx2",      Isa::kAvx2,       TSR_KV_I8_TOKEN,   attention_avx2(TSR_KV_I8_TOKEN)),
      row("attention_paged_i8c__avx2",      Isa::kAvx2,       TSR_KV_I8_CHANNEL, attention_avx2(TSR_KV_I8_CHANNEL)),
      row("attention_fa3_i8h__avx2",        Isa::kAvx2,       TSR_KV_I8_HEAD,    attention_avx2(TSR_KV_I8_HEAD)),
      row("attention_paged_f32__scalar",    Isa::kScalar,     TSR_KV_F32,        attention_scalar(TSR_KV_F32)),
      row("attention_paged_f16__scalar",    Isa::kScalar,     TSR_KV_F16,        attention_scalar(TSR_KV_F16)),
      row("attention_paged_bf16__scalar",   Isa::kScalar,     TSR_KV_BF16,       attention_scalar(TSR_KV_BF16)),
      row("attention_paged_i8t__scalar",    Isa::kScalar,     TSR_KV_I8_TOKEN,   attention_scalar(TSR_KV_I8_TOKEN)),
      row("attention_paged_i8c__scalar",    Isa::kScalar,     TSR_KV_I8_CHANNEL, attention_scalar(TSR_KV_I8_CHANNEL)),
      row("attention_fa3_i8h__scalar",      Isa::kScalar,     TSR_KV_I8_HEAD,    attention_scalar(TSR_KV_I8_HEAD)),
  };
  // clang-format on
  return rows;
}

const AttentionKernel* select_attention_kernel(uint32_t kv_format, Isa best) {
  for (const AttentionKernel& kernel : attention_kernels()) {
    if (kernel.kv_format == kv_format && kernel.isa <= best) return &kernel;
  }
  return nullptr;
}

}  // namespace tessera::cpu
