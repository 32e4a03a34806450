// SPDX-License-Identifier: Apache-2.0
//
// Sixteen independent chains hide the latency of an instruction (4 to 5 cycles
// at two a cycle); AMX has eight tiles, four of them sums.

#include "framework/bench/limits/peak_loops.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace tessera::bench {
namespace {

constexpr int kChains = 16;

#if defined(__x86_64__)

// The compiler must take `sum` for used.
template <typename Vector>
void keep(const Vector& sum) {
  __asm__ volatile("" : : "m"(sum) : "memory");
}

__attribute__((target("avx2,fma"))) void run_fma_avx2(int64_t steps) {
  constexpr int kYmmChains = 12;  // of 16 registers
  __m256 sums[kYmmChains];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1.0f);
  const __m256 a = _mm256_set1_ps(1e-3f);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kYmmChains; ++c) {
      sums[c] = _mm256_fmadd_ps(sums[c], a, a);
    }
  }
  for (const __m256& sum : sums) keep(sum);
}

__attribute__((target("avx512f"))) void run_fma_avx512(int64_t steps) {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const __m512 a = _mm512_set1_ps(1e-3f);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) keep(sum);
}

__attribute__((target("avx512f,avx512bf16"))) void run_bf16_avx512(
    int64_t steps) {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const auto a = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbf16_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) keep(sum);
}

__attribute__((target("avx2"))) void run_int8_avx2(int64_t steps) {
  constexpr int kYmmChains = 12;
  __m256i sums[kYmmChains];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i a = _mm256_set1_epi32(0x01020304);
  for (int64_t i = 0; i < steps; ++i) {
    keep(a);
#pragma GCC unroll 16
    for (int c = 0; c < kYmmChains; ++c) {
      const __m256i pairs = _mm256_maddubs_epi16(a, sums[c]);
      sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(pairs, ones));
    }
  }
  for (const __m256i& sum : sums) keep(sum);
}

__attribute__((target("avx512f,avx512vnni"))) void run_vnni_avx512(
    int64_t steps) {
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi32(0x01020304);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], a, a);
    }
  }
  for (const __m512i& sum : sums) keep(sum);
}

// The operand of LDTILECFG.  Source: Intel SDM, LDTILECFG.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Written out, because compilers of this age may drop the stores to a
// configuration that an intrinsic reads.
void load_tiles() {
  static const TileConfig config;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  __asm__ volatile(
      "tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\t"
      "tilezero %tmm3\n\ttilezero %tmm4\n\ttilezero %tmm5\n\t"
      "tilezero %tmm6\n\ttilezero %tmm7");
}

void run_int8_amx(int64_t steps) {
  load_tiles();
  for (int64_t i = 0; i < steps; ++i) {
    __asm__ volatile(
        "tdpbssd %tmm6, %tmm4, %tmm0\n\ttdpbssd %tmm7, %tmm4, %tmm1\n\t"
        "tdpbssd %tmm6, %tmm5, %tmm2\n\ttdpbssd %tmm7, %tmm5, %tmm3");
  }
  __asm__ volatile("tilerelease");
}

void run_bf16_amx(int64_t steps) {
  load_tiles();
  for (int64_t i = 0; i < steps; ++i) {
    __asm__ volatile(
        "tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
  }
  __asm__ volatile("tilerelease");
}

struct Features {
  bool avx2 = false;
  bool avx512 = false;
  bool vnni = false;
  bool bf16 = false;
  bool amx_int8 = false;
  bool amx_bf16 = false;
};

bool has_bit(uint32_t value, uint32_t bit) { return (value >> bit & 1U) != 0; }

// Linux hands out tile registers on request.  Source: Linux,
// Documentation/arch/x86/xstate.rst.
bool ask_for_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features detect() {
  Features found;
  found.avx2 =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  found.avx512 = __builtin_cpu_supports("avx512f") != 0;
  found.vnni = __builtin_cpu_supports("avx512vnni") != 0;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  // Leaf 7: bits 22 (AMX-BF16), 24 (AMX-TILE) and 25 (AMX-INT8) of edx;
  // sub-leaf 1, bit 5 of eax: AVX512-BF16.
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) {
    found.bf16 = found.avx512 && has_bit(a, 5);
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && has_bit(d, 24) &&
      found.avx512 && ask_for_tiles()) {
    found.amx_bf16 = has_bit(d, 22);
    found.amx_int8 = has_bit(d, 25);
  }
  return found;
}

#else

// A loop that the compiler turns into what the machine has.
void run_fma_portable(int64_t steps) {
  float sums[kChains * 4];
  for (float& sum : sums) sum = 1.0f;
  for (int64_t i = 0; i < steps; ++i) {
    for (float& sum : sums) sum = sum * 1e-3f + 1e-3f;
  }
  __asm__ volatile("" : : "m"(sums) : "memory");
}

#endif

}  // namespace

std::vector<PeakLoop> peak_loops() {
  std::vector<PeakLoop> loops;
#if defined(__x86_64__)
  const Features has = detect();
  if (has.avx2) {
    loops.push_back({"avx2 fma", Compute::kF32, 12 * 16, run_fma_avx2});
    loops.push_back({"avx2 int8", Compute::kInt8, 12 * 64, run_int8_avx2});
  }
  if (has.avx512) {
    loops.push_back({"avx512 fma", Compute::kF32, 16 * 32, run_fma_avx512});
  }
  if (has.bf16) {
    loops.push_back({"avx512 bf16", Compute::kBf16, 16 * 64, run_bf16_avx512});
  }
  if (has.vnni) {
    loops.push_back({"avx512 vnni", Compute::kInt8, 16 * 128, run_vnni_avx512});
  }
  // 16 x 16 sums of 64 products, or of 32.
  if (has.amx_int8) {
    loops.push_back({"amx int8", Compute::kInt8, 4 * 32768, run_int8_amx});
  }
  if (has.amx_bf16) {
    loops.push_back({"amx bf16", Compute::kBf16, 4 * 16384, run_bf16_amx});
  }
#else
  loops.push_back({"fma", Compute::kF32, kChains * 8, run_fma_portable});
#endif
  return loops;
}

}  // namespace tessera::bench
