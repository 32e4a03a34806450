// SPDX-License-Identifier: Apache-2.0
//
// The innermost loops of the oracle's linear: one weight row against a tile of
// tokens.  Whole models run through them, so they are laid out for a compiler
// to vectorize over tokens; the sum over k stays in order.

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::reference {

// Tokens of a tile: eight vectors of the widest unit, enough to hide latency.
inline constexpr size_t kTileTokens = 64;

// A tile with no more tokens than this takes an eighth of the time.
inline constexpr size_t kNarrowTokens = 8;

// out_sums[t] = sum over k, ascending, of w[k] * x[k, t] for the first
// num_tokens t, at least; each product and sum is rounded to the type.
//
// Shapes    w [K]; x [K, kTileTokens]; out_sums [kTileTokens]
// Requires  int32_t: no sum overflows
void dot_tile(const double* w, const double* x, size_t K, size_t num_tokens,
              double* out_sums);
void dot_tile(const float* w, const float* x, size_t K, size_t num_tokens,
              float* out_sums);
void dot_tile(const int32_t* w, const int32_t* x, size_t K, size_t num_tokens,
              int32_t* out_sums);

}  // namespace tessera::reference
