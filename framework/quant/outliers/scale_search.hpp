// SPDX-License-Identifier: Apache-2.0
//
// Searches for the scales of input channels that hurt a group of linears least:
// AWQ for weights, Flex Smooth for weights and activations.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/block/decoder_block.hpp"
#include "framework/quant/outliers/smooth.hpp"
#include "framework/quant/weights/clip_search.hpp"

namespace tessera::quant {

// How the search quantizes the inputs.
enum class InputRounding {
  kNone,      // a16
  kPerToken,  // 127 or 7 codes a side, one scale per row
  kStatic,    // one scale, from the largest magnitude of the sample
};

// Linears that read one input, and a sample of its rows.  Borrows all of it.
//
// Columns may share a channel of s, as those of o do behind grouped v heads;
// consumers() and channel_map() of a block give both spans.
struct ScaleProblem {
  std::span<FloatLinear* const> linears;  // share K
  std::span<const uint32_t> channels;     // [K], of each column; empty: its own
  std::span<const float> rows;            // X [M, K]
  format::WeightScheme weight_scheme;     // an integer scheme
  ClipSearch clip;                        // of the weights, as they will be
  InputRounding inputs = InputRounding::kNone;
  int32_t max_input_code = 127;
};

// Mean squared error of all outputs on the sample when columns are scaled by s,
// rounded, and the inputs divided by s (and rounded).
//
// Requires  s positive, one per channel
// Errors    INVALID_ARGUMENT for no linears, another K, no whole rows, NaN or
//           infinity in rows (naming the row), a scheme that IntegerWeight
//           refuses, or if a scale does not fit its type
Result<double> scaled_output_error(const ScaleProblem& problem,
                                   std::span<const float> s,
                                   const ParallelFor& run);

struct ScaleChoice {
  std::vector<float> s;  // per channel; for fold_scales
  double alpha = 0.0;    // AWQ's ratio, or exponents of smooth_scales
  double beta = 0.0;
  double error = 0.0;        // scaled_output_error of s
  double plain_error = 0.0;  // of s = 1; error is never larger
};

// AWQ (m3): s = mean|x|^ratio for 20 ratios 0 .. 0.95, at least 1e-4, divided
// by sqrt(max s * min s).
//
// Shapes  mean_abs [K]; columns of one channel share the largest
// Errors  as scaled_output_error; INVALID_ARGUMENT if mean_abs has another size
// Source  Lin et al., arXiv:2306.00978, section 3.2; msModelSlim, awq_smooth
Result<ScaleChoice> search_awq(const ScaleProblem& problem,
                               std::span<const float> mean_abs,
                               const ParallelFor& run);

// Flex Smooth (m6): alpha and beta over a grid of steps of 0.25, then 0.05
// around the best; s as smooth_scales.
//
// Shapes  activation_max [K]; columns of one channel share the largest
// Errors  as search_awq
// Source  msModelSlim, flex_smooth_quant ("two-stage grid search"; its steps
//         are not published)
Result<ScaleChoice> search_flex_smooth(const ScaleProblem& problem,
                                       std::span<const float> activation_max,
                                       const ParallelFor& run);

}  // namespace tessera::quant
