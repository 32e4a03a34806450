// SPDX-License-Identifier: Apache-2.0
//
// How sensitive the linears of one block are to being rounded.

#pragma once

#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/block/decoder_block.hpp"
#include "framework/quant/fallback/sensitivity.hpp"
#include "framework/quant/pipeline/calibrator.hpp"

namespace tessera::quant {

// The metric of every part of the block, an index of block_parts() each.  For
// kLayerMse that of rounding to nearest in `scheme`; 0 without a scheme, or
// where it cannot hold the part.
//
// Shapes    inputs: what each part reads; for kLayerMse captured with Hessians,
//           which are taken
// Errors    those of input_sensitivity(), layer_mse() and the encoders
Result<std::vector<double>> measure_parts(
    SensitivityMetric metric, const DecoderBlock& block,
    const std::vector<CapturedInput*>& inputs, const Scheme* scheme,
    const ParallelFor& run);

}  // namespace tessera::quant
