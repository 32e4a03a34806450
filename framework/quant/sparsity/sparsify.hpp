// SPDX-License-Identifier: Apache-2.0
//
// The two readings of "sparse" in W8A8S, each a step of its own.  zero_fraction
// is the article's: the least important weights become zero.  protect_fraction
// is msModelSlim's: most weights go to a grid of 15 codes, a few that matter
// keep all 8 bits; it is this one that compresses (docs/sparse_container.md).

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {

// Sets the floor(fraction * size) least important weights to zero, exactly that
// many; importance.hpp says which.
//
// Shapes  values [N, K]; factors [K], importance_factors()
// Errors  INVALID_ARGUMENT if fraction is not in [0, 1], K does not divide the
//         size, or a value or factor is NaN, infinite or, of factors, negative
Status zero_fraction(double fraction, std::span<const float> factors,
                     std::span<float> values);

// The 15 codes that weights outside the protected set may take.
enum class SparseGrid {
  kUniform,  // 7 * {-7 .. 7}
  kBook,     // chosen for each tile of 256 x 128 by weighted k-means
};

struct ProtectOptions {
  double fraction = 0.012;  // of the weights, rounded down, that are protected
  SparseGrid grid = SparseGrid::kBook;
  // How much squared error, in units of a squared grid step, one bit of the
  // entropy code is worth; 0 asks for the least error alone.
  double rate_weight = 0.08;
  uint32_t scale_dtype = TSR_F32;  // F32, F16 or BF16
};

// W8A8S: s8 codes with a scale per channel.
struct ProtectedWeight {
  uint32_t N = 0;
  uint32_t K = 0;
  std::vector<int8_t> codes;          // [N, K], -127 .. 127
  format::Plane scale;                // [N, 1]
  std::vector<uint8_t> is_protected;  // [N, K], 0 or 1
  uint64_t num_protected = 0;

  // As I8, and as SPARSE_FIXED.
  format::WeightData dense() const;
  Result<format::WeightData> compressed() const;
};

// Rounds W[N, K] so that each tile of 256 rows x 128 columns takes at most 15
// codes outside the protected set: the floor(fraction * N * K) most important
// weights of the tensor.  Scales are searched per row for the least squared
// error.  With `factor` errors are weighted by the Hessian's diagonal and moved
// onto columns not yet rounded, as GPTQ does; null: round to nearest.
//
// Shapes  values [N, K]; factors [K], importance_factors()
// Errors  INVALID_ARGUMENT if a size or fraction does not fit, a value is NaN
//         or infinite (naming row and column), or a scale does not fit its type
// Source  grid and share: msModelSlim, `fraction` of its w8a8s recipes;
//         errors moved on: Frantar et al., arXiv:2210.17323, algorithm 1;
//         rate in the k-means: Chou et al., IEEE TASSP 37(1), 1989
Result<ProtectedWeight> protect_fraction(const ProtectOptions& options,
                                         uint32_t N,
                                         std::span<const float> values,
                                         std::span<const float> factors,
                                         const GptqFactor* factor,
                                         const ParallelFor& run);

}  // namespace tessera::quant
