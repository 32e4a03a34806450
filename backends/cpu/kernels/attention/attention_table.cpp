// SPDX-License-Identifier: Apache-2.0
//
// The table of attention kernels.

#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"

namespace tessera::cpu {
namespace {

constexpr uint32_t kBf16 = 1U << TSR_BF16;
constexpr uint32_t kAnyDtype = 1U << TSR_F32 | 1U << TSR_F16 | kBf16;

AttentionKernel row(const char* name, Isa isa, uint32_t kv_format,
                    const AttentionFunctions& functions,
                    uint32_t dtypes = kAnyDtype) {
  return {name,
          isa,
          kv_format,
          dtypes,
          functions.prepare,
          functions.run,
          functions.combine,
          functions.rows_together};
}

}  // namespace

std::span<const AttentionKernel> attention_kernels() {
  // clang-format off
  static const AttentionKernel rows[] = {
      row("attention_paged_bf16__amx",        Isa::kAmx,        TSR_KV_BF16,       attention_amx_bf16(TSR_KV_BF16),         kBf16),
      row("attention_paged_i8t__amx",         Isa::kAmx,        TSR_KV_I8_TOKEN,   attention_amx_bf16(TSR_KV_I8_TOKEN),     kBf16),
      row("attention_paged_i8c__amx",         Isa::kAmx,        TSR_KV_I8_CHANNEL, attention_amx_bf16(TSR_KV_I8_CHANNEL),   kBf16),
      row("attention_fa3_i8h__amx",         Isa::kAmx,        TSR_KV_I8_HEAD,    attention_amx_int8()),
      row("attention_paged_bf16__avx512bf16", Isa::kAvx512Bf16, TSR_KV_BF16,       attention_avx512bf16(TSR_KV_BF16),       kBf16),
      row("attention_paged_i8t__avx512bf16",  Isa::kAvx512Bf16, TSR_KV_I8_TOKEN,   attention_avx512bf16(TSR_KV_I8_TOKEN),   kBf16),
      row("attention_paged_i8c__avx512bf16",  Isa::kAvx512Bf16, TSR_KV_I8_CHANNEL, attention_avx512bf16(TSR_KV_I8_CHANNEL), kBf16),
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

const AttentionKernel* select_attention_kernel(uint32_t kv_format,
                                               uint32_t dtype, Isa best) {
  const uint32_t of_dtype = dtype < 32 ? 1U << dtype : 0;
  for (const AttentionKernel& kernel : attention_kernels()) {
    if (kernel.kv_format == kv_format && (kernel.dtypes & of_dtype) != 0 &&
        kernel.isa <= best) {
      return &kernel;
    }
  }
  return nullptr;
}

}  // namespace tessera::cpu
