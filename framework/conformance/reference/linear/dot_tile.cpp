// SPDX-License-Identifier: Apache-2.0
//
// One loop, for three types and, where the compiler can choose at run time, for
// three vector lengths.  Without contraction and reassociation all of them give
// the same bits.

#include "framework/conformance/reference/linear/dot_tile.hpp"

// Sanitizers cannot run the resolver that picks a clone: it is called before
// they are set up.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define TSR_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TSR_SANITIZED
#endif

#if defined(__x86_64__) && defined(__linux__) && defined(__has_attribute) && \
    !defined(TSR_SANITIZED)
#if __has_attribute(target_clones)
#define TSR_VECTOR_CLONES \
  __attribute__((target_clones("default", "avx2", "avx512f")))
#endif
#endif
#if !defined(TSR_VECTOR_CLONES)
#define TSR_VECTOR_CLONES
#endif

namespace tessera::reference {
namespace {

template <size_t kTokens, typename Number>
[[gnu::always_inline]] inline void dot(const Number* w, const Number* x,
                                       size_t K, Number* out_sums) {
  Number sums[kTokens] = {};
  for (size_t k = 0; k < K; ++k) {
    for (size_t t = 0; t < kTokens; ++t) {
      sums[t] += w[k] * x[k * kTileTokens + t];
    }
  }
  for (size_t t = 0; t < kTokens; ++t) out_sums[t] = sums[t];
}

template <typename Number>
[[gnu::always_inline]] inline void dot(const Number* w, const Number* x,
                                       size_t K, size_t num_tokens,
                                       Number* out_sums) {
  if (num_tokens <= kNarrowTokens) {
    dot<kNarrowTokens>(w, x, K, out_sums);
  } else {
    dot<kTileTokens>(w, x, K, out_sums);
  }
}

}  // namespace

TSR_VECTOR_CLONES
void dot_tile(const double* w, const double* x, size_t K, size_t num_tokens,
              double* out_sums) {
  dot(w, x, K, num_tokens, out_sums);
}

TSR_VECTOR_CLONES
void dot_tile(const float* w, const float* x, size_t K, size_t num_tokens,
              float* out_sums) {
  dot(w, x, K, num_tokens, out_sums);
}

TSR_VECTOR_CLONES
void dot_tile(const int32_t* w, const int32_t* x, size_t K, size_t num_tokens,
              int32_t* out_sums) {
  dot(w, x, K, num_tokens, out_sums);
}

}  // namespace tessera::reference
