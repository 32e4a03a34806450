// SPDX-License-Identifier: Apache-2.0
//
// What the machine can do, in pieces of about a millisecond: taken between the
// runs of a kernel, so that other guests of the machine disturb both alike.

#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

#include "backends/cpu/bench/bench_threads.hpp"
#include "backends/cpu/kernels/isa.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::cpu {

// Of one thread its own time, which other processes disturb less.
inline double now_seconds(const Parallel& threads) {
  timespec now{};
  clock_gettime(
      threads.num_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
      &now);
  return static_cast<double>(now.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec);
}

template <typename Body>
double seconds_of(const Parallel& threads, const Body& body) {
  const double start = now_seconds(threads);
  body();
  return now_seconds(threads) - start;
}

// Seconds to read `bytes` at `data` once, every thread four streams at a time.
inline double read_seconds(const Parallel& threads, const std::byte* data,
                           int64_t bytes) {
  static std::atomic<uint64_t> sink;
  constexpr int64_t kStreams = 4;
  constexpr int64_t kPiece = int64_t{1} << 18;
  const int64_t pieces = bytes / kPiece;
  const double seconds = seconds_of(threads, [&] {
    parallel_for(threads, static_cast<uint32_t>(pieces), [&](uint32_t piece) {
      const auto* words =
          reinterpret_cast<const uint64_t*>(data + piece * kPiece);
      constexpr int64_t kWords = kPiece / 8 / kStreams;
      uint64_t sums[kStreams][8] = {};
      for (int64_t i = 0; i < kWords; i += 8) {
        for (int64_t s = 0; s < kStreams; ++s) {
          for (int64_t j = 0; j < 8; ++j)
            sums[s][j] += words[s * kWords + i + j];
        }
      }
      uint64_t total = 0;
      for (const auto& stream : sums) {
        for (const uint64_t sum : stream) total += sum;
      }
      sink += total;
    });
  });
  return seconds * static_cast<double>(bytes) /
         static_cast<double>(pieces * kPiece);
}

// What kind of product a kernel is made of.
enum class PeakKind { kFma, kBf16, kInt8 };

#if defined(__x86_64__)

constexpr int64_t kPeakSteps = 1 << 16;
constexpr int kPeakChains = 16;

// Chains that the compiler can neither merge nor skip.
#define TSR_PEAK_LOOP(name, isa, instruction)                         \
  __attribute__((target(isa))) inline void name() {                   \
    __m512 sums[kPeakChains];                                         \
    for (__m512 & sum : sums) sum = _mm512_setzero_ps();              \
    const __m512 a = _mm512_setzero_ps();                             \
    for (int64_t i = 0; i < kPeakSteps; ++i) {                        \
      _Pragma("GCC unroll 16") for (__m512 & sum : sums) {            \
        asm volatile(instruction " %1, %1, %0" : "+v"(sum) : "v"(a)); \
      }                                                               \
    }                                                                 \
  }
TSR_PEAK_LOOP(fma_peak, "avx512f", "vfmadd231ps")
TSR_PEAK_LOOP(bf16_peak, "avx512f", "vdpbf16ps")
TSR_PEAK_LOOP(int8_peak, "avx512f", "vpdpbusd")
#undef TSR_PEAK_LOOP

// Operations a second of all threads; 0 where AVX-512 cannot say.
inline double peak_rate(const Parallel& threads, PeakKind kind) {
  const bool has = best_isa() >= (kind == PeakKind::kBf16   ? Isa::kAvx512Bf16
                                  : kind == PeakKind::kInt8 ? Isa::kAvx512Vnni
                                                            : Isa::kAvx512);
  if (!has) return 0.0;
  const double seconds = seconds_of(threads, [&] {
    parallel_for(threads, threads.num_threads, [kind](uint32_t) {
      if (kind == PeakKind::kFma) return fma_peak();
      if (kind == PeakKind::kBf16) return bf16_peak();
      int8_peak();
    });
  });
  const double per_step = kind == PeakKind::kFma    ? 32.0
                          : kind == PeakKind::kBf16 ? 64.0
                                                    : 128.0;
  return per_step * kPeakSteps * kPeakChains * threads.num_threads / seconds;
}

#else

inline double peak_rate(const Parallel&, PeakKind) { return 0.0; }

#endif

}  // namespace tessera::cpu
