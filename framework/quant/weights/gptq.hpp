// SPDX-License-Identifier: Apache-2.0
//
// GPTQ: rounds a weight column by column and moves each rounding error onto the
// columns not yet rounded, so that the linear's output changes least.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/activations/input_statistics.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/weights/clip_search.hpp"

namespace tessera::quant {

struct GptqOptions {
  // Columns in descending order of the Hessian's diagonal.  With groups the
  // weight then carries a PERMUTATION, unless static_groups.
  bool act_order = false;
  // Scales from the weights as given, before any correction, for groups of
  // neighbouring columns whatever the order.
  bool static_groups = false;
  double damping = 0.01;  // times the mean of the diagonal, added to it
  ClipSearch clip;        // weighted by the Hessian's diagonal
};

// A Hessian made ready for every linear that reads this input: q, k and v share
// one.
struct GptqFactor {
  uint32_t K = 0;
  // Upper U with (H + damping)^-1 = U^T U, in the order of `order`; [K, K].
  std::vector<float> upper;
  std::vector<uint32_t> order;  // column k is input feature order[k]
  std::vector<float> diagonal;  // of H, damped, in that order
  double damping = 0.0;         // share of the mean that was needed in the end
  uint32_t num_retries = 0;     // how often the damping was raised
  uint32_t num_dead = 0;        // features that calibration never saw move
};

// Damps and factors H in place; peak memory is H itself.
//
// A dead feature, zero in every row, is made independent of the rest: its
// weights are rounded to nearest.  If H is not positive definite the damping is
// raised tenfold, up to 1, and tried again; num_retries says so.
//
// Errors  INVALID_ARGUMENT if H is not K x K, holds NaN or infinity (naming
//         row and column), a diagonal element is negative, or damping is not in
//         [0, 1]
//         FAILED_PRECONDITION if no damping up to 1 helps
// Source  Frantar et al., arXiv:2210.17323, section 3.3, step 3; order and
//         dead columns as its published code
Result<GptqFactor> factor_hessian(Hessian hessian, const GptqOptions& options,
                                  const ParallelFor& run);

struct GptqResult {
  format::WeightData weight;
  // tr(dW H dW^T), H damped: n / 2 times this is the squared error of the
  // outputs on the calibration rows, and what rounding to nearest is beaten in.
  double weighted_error = 0.0;
};

// The weight [N, K] in an integer scheme of any group size, short last group
// included.  Where every column's error stays its own (diagonal H) the bytes
// are those of format::encode_weight.
//
// Lazy updates of 128 columns; a group that begins inside such a block takes
// its scale from columns corrected up to there.  Besides the result this holds
// 64 rows of K floats per thread.
//
// Errors  INVALID_ARGUMENT as IntegerWeight::create and check_values, or if a
//         scale does not fit its type (naming the row)
// Source  Frantar et al., arXiv:2210.17323, algorithm 1
Result<GptqResult> quantize_gptq(const format::WeightScheme& scheme,
                                 const GptqOptions& options,
                                 const GptqFactor& factor, uint32_t N,
                                 std::span<const float> values,
                                 const ParallelFor& run);

}  // namespace tessera::quant
