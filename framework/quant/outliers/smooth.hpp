// SPDX-License-Identifier: Apache-2.0
//
// SmoothQuant and its descendants: moves the range of outlier channels from
// activations, which share a scale, into weights.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/block/decoder_block.hpp"

namespace tessera::quant {

// s = max(A^alpha / W^beta, 1e-5) per channel, A and W the largest magnitudes
// of activation and weight columns.  A channel with A = 0 or W = 0 gets 1.
//
//   SmoothQuant, m1, m2     beta = 1 - alpha, alpha 0.5; norm subgraphs
//   Iterative Smooth, m4    beta = 1 - alpha, alpha 0.9; all subgraphs
//   Flex Smooth, m6         alpha and beta free in [0, 1]; all subgraphs
//
// Source  Xiao et al., arXiv:2211.10438, equation 4; msModelSlim,
//         iter_smooth and flex_smooth_quant
struct SmoothExponents {
  double alpha = 0.5;
  double beta = 0.5;
};
std::vector<float> smooth_scales(const SmoothExponents& exponents,
                                 std::span<const float> activation_max,
                                 std::span<const float> weight_max);

// Largest magnitude per input column over all the linears.
// Requires: they share K.
std::vector<float> weight_column_max(std::span<FloatLinear* const> linears);

// Largest magnitudes per column of the inputs of a block's linears, from
// calibration: ColumnStatistics::abs_max.
struct BlockActivations {
  std::vector<float> attention;  // of q, k, v
  std::vector<float> output;     // of o
  std::vector<float> mlp;        // of gate, up
  std::vector<float> down;

  std::vector<float>& of(Subgraph subgraph);
};

// All subgraphs, in the order in which they are smoothed: what is inside first,
// then the norms.
std::span<const Subgraph> all_subgraphs();
// The two that SmoothQuant knows.
std::span<const Subgraph> norm_subgraphs();

// Smooths one subgraph and divides its activation maxima by the scales, so
// that they stay those of the block.  Returns the scales per channel.
//
// Requires  block passed check_block
// Errors    INVALID_ARGUMENT if the maxima have another size or are not finite,
//           an exponent is not in [0, 1], or a weight overflows
Result<std::vector<float>> smooth_subgraph(Subgraph subgraph,
                                           const SmoothExponents& exponents,
                                           DecoderBlock* block,
                                           BlockActivations* activations);

}  // namespace tessera::quant
