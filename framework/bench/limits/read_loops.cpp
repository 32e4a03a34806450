// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/read_loops.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::bench {
namespace {

constexpr uint64_t kLineBytes = 64;

// The compiler must take `sum` for used.
template <typename Value>
void keep(const Value& sum) {
  __asm__ volatile("" : : "m"(sum) : "memory");
}

template <int kStreams>
void read_words(const std::byte* data, uint64_t bytes) {
  const uint64_t stride = bytes / kStreams / kLineBytes * kLineBytes;
  uint64_t sums[kStreams] = {};
  for (uint64_t at = 0; at < stride; at += sizeof(uint64_t)) {
    for (uint64_t s = 0; s < kStreams; ++s) {
      uint64_t word = 0;
      std::memcpy(&word, data + s * stride + at, sizeof(word));
      sums[s] ^= word;
    }
  }
  keep(sums);
}

#if defined(__x86_64__)

template <int kStreams>
__attribute__((target("avx2"))) void read_ymm(const std::byte* data,
                                              uint64_t bytes) {
  const uint64_t stride = bytes / kStreams / kLineBytes * kLineBytes;
  __m256i sums[kStreams];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (uint64_t at = 0; at < stride; at += kLineBytes) {
    for (uint64_t s = 0; s < kStreams; ++s) {
      const auto* line =
          reinterpret_cast<const __m256i*>(data + s * stride + at);
      sums[s] = _mm256_xor_si256(sums[s], _mm256_load_si256(line));
      sums[s] = _mm256_xor_si256(sums[s], _mm256_load_si256(line + 1));
    }
  }
  keep(sums);
}

template <int kStreams>
__attribute__((target("avx512f"))) void read_zmm(const std::byte* data,
                                                 uint64_t bytes) {
  const uint64_t stride = bytes / kStreams / kLineBytes * kLineBytes;
  __m512i sums[kStreams];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (uint64_t at = 0; at < stride; at += kLineBytes) {
    for (uint64_t s = 0; s < kStreams; ++s) {
      const auto* line =
          reinterpret_cast<const __m512i*>(data + s * stride + at);
      sums[s] = _mm512_xor_si512(sums[s], _mm512_load_si512(line));
    }
  }
  keep(sums);
}

#endif

}  // namespace

std::vector<ReadLoop> read_loops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    return {{1, read_zmm<1>}, {4, read_zmm<4>}, {8, read_zmm<8>}};
  }
  if (__builtin_cpu_supports("avx2") != 0) {
    return {{1, read_ymm<1>}, {4, read_ymm<4>}, {8, read_ymm<8>}};
  }
#endif
  return {{1, read_words<1>}, {4, read_words<4>}, {8, read_words<8>}};
}

}  // namespace tessera::bench
