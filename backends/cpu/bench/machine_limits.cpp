// SPDX-License-Identifier: Apache-2.0
//
// Sixteen independent chains hide the latency of every multiply-add.

#include "backends/cpu/bench/machine_limits.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>

#include "backends/cpu/kernels/amx/amx_tiles.hpp"
#include "backends/cpu/kernels/isa.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::cpu {

double clock_ns(const Parallel& parallel) {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  if (parallel.num_threads == 1) {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e9 * static_cast<double>(now.tv_sec) +
           static_cast<double>(now.tv_nsec);
  }
#endif
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

#if defined(__x86_64__)

namespace {

constexpr int64_t kSteps = 1 << 16;
constexpr int kChains = 16;

template <int kStreams>
__attribute__((target("avx2"))) void read_part(const std::byte* part,
                                               int64_t bytes) {
  __m256i sum = _mm256_setzero_si256();
  const int64_t stride = bytes / kStreams / 64 * 64;
  for (int64_t i = 0; i < stride; i += 64) {
#pragma GCC unroll 8
    for (int64_t s = 0; s < kStreams; ++s) {
      const auto* p = reinterpret_cast<const __m256i*>(part + s * stride + i);
      sum = _mm256_xor_si256(sum, _mm256_load_si256(p));
      sum = _mm256_xor_si256(sum, _mm256_load_si256(p + 1));
    }
  }
  benchmark::DoNotOptimize(sum);
}

__attribute__((target("avx512f"))) void f32_steps() {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const __m512 a = _mm512_set1_ps(1.0001f);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) sums[0] = _mm512_add_ps(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

__attribute__((target("avx512f,avx512bf16"))) void bf16_steps() {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const auto a = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbf16_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) sums[0] = _mm512_add_ps(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

__attribute__((target("avx512f,avx512vnni"))) void int8_steps() {
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi32(0x01020304);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], a, a);
    }
  }
  for (const __m512i& sum : sums) sums[0] = _mm512_xor_si512(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

// Tiles 0 to 3 of sums; the four others are never loaded, so are zero.
template <AmxKind kKind>
__attribute__((target("amx-tile,amx-int8,amx-bf16"))) void amx_steps() {
  AmxTiles::configure({});
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains / 4; ++c) {
      AmxTiles::add<kKind, 0, 0, 0>();
      AmxTiles::add<kKind, 1, 0, 1>();
      AmxTiles::add<kKind, 2, 1, 0>();
      AmxTiles::add<kKind, 3, 1, 1>();
    }
  }
  AmxTiles::release();
}

struct PeakSteps {
  Isa isa;
  void (*run)();
  double ops;  // of one step of one chain
};

PeakSteps steps_of(Peak peak) {
  if (best_isa() >= Isa::kAmx) {
    constexpr double kProducts = 2.0 * kAmxRows * kAmxRows * kAmxRowBytes;
    if (peak == Peak::kInt8) {
      return {Isa::kAmx, amx_steps<AmxKind::kU8S8>, kProducts};
    }
    if (peak == Peak::kBf16) {
      return {Isa::kAmx, amx_steps<AmxKind::kBf16>, kProducts / 2};
    }
  }
  if (peak == Peak::kInt8) return {Isa::kAvx512Vnni, int8_steps, 128};
  if (peak == Peak::kBf16) return {Isa::kAvx512Bf16, bf16_steps, 64};
  return {Isa::kAvx512, f32_steps, 32};
}

}  // namespace

void read_all(const Parallel& parallel, const std::byte* data, int64_t bytes,
              int64_t num_streams) {
  const int64_t part = bytes / parallel.num_threads / 64 * 64;
  parallel_for(parallel, parallel.num_threads, [&](uint32_t i) {
    const std::byte* from = data + i * part;
    if (num_streams == 1) return read_part<1>(from, part);
    if (num_streams == 4) return read_part<4>(from, part);
    read_part<8>(from, part);
  });
}

double run_peak(const Parallel& parallel, Peak peak) {
  const PeakSteps steps = steps_of(peak);
  if (best_isa() < steps.isa) return 0.0;
  parallel_for(parallel, parallel.num_threads, [&](uint32_t) { steps.run(); });
  return static_cast<double>(parallel.num_threads * kSteps) * kChains *
         steps.ops;
}

#else

void read_all(const Parallel& parallel, const std::byte* data, int64_t bytes,
              int64_t /*num_streams*/) {
  const int64_t part = bytes / parallel.num_threads / 64 * 64;
  parallel_for(parallel, parallel.num_threads, [&](uint32_t i) {
    unsigned sum = 0;
    for (int64_t k = 0; k < part; ++k) {
      sum += std::to_integer<unsigned>(data[i * part + k]);
    }
    benchmark::DoNotOptimize(sum);
  });
}

double run_peak(const Parallel& /*parallel*/, Peak /*peak*/) { return 0.0; }

#endif

}  // namespace tessera::cpu
