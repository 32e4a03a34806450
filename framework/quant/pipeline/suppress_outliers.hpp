// SPDX-License-Identifier: Apache-2.0
//
// Applies a recipe's outlier suppression to one block.

#pragma once

#include <functional>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/quant/block/decoder_block.hpp"
#include "framework/quant/pipeline/calibrator.hpp"
#include "framework/quant/recipe/recipe.hpp"

namespace tessera::quant {

// How each part of the block will be quantized; an index of block_parts().
struct BlockPlan {
  // Null: stays in floats.
  std::vector<const Scheme*> schemes;
  // What each part reads.
  std::vector<CapturedInput*> inputs;
};

// Scales the subgraphs of the recipe whose consumers are quantized.  The float
// function of the block stays what it was.
//
// Requires  inputs captured from this block; with max_rows for searched methods
// Errors    those of smooth_subgraph and of the searches, naming the subgraph
Status suppress_outliers(const Recipe& recipe, const BlockPlan& plan,
                         DecoderBlock* block, const ParallelFor& run);

}  // namespace tessera::quant
