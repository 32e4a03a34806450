// SPDX-License-Identifier: Apache-2.0
//
// QuaRot's offline part: turns the residual stream (R1) and each head's values
// (R2) by orthogonal matrices folded into weights, so that no channel stands
// out and the model computes the same.

#pragma once

#include <cstdint>
#include <span>

#include "framework/base/status.hpp"
#include "framework/quant/algebra/hadamard.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/block/decoder_block.hpp"

namespace tessera::quant {

// Multiplies a norm's weight into the columns of the linears behind it and
// leaves ones.  An RMS norm without weights commutes with rotations.
//
// Requires  each linear's K is the norm's size
void fuse_norm(std::span<float> norm, std::span<FloatLinear* const> linears);

// Rows of W turned: W := W Q.  For what reads the rotated stream (behind a
// fused norm), the head's projection, and for an embedding table [vocab,
// hidden].  f64, rounded once.
//
// Shapes    weight [N, rotation.size()]
void rotate_inputs(const Rotation& rotation, std::span<float> weight,
                   const ParallelFor& run);

// Outputs turned: W := Q^T W, bias := bias Q.  For what writes the stream.
//
// Requires  linear->N is a multiple of rotation.size(): each run of that many
//           outputs is turned by itself
void rotate_outputs(const Rotation& rotation, FloatLinear* linear,
                    const ParallelFor& run);

// R1 over a block: fuses both norms, then turns what q, k, v, gate and up read
// and what o and down write.  The embedding, the final norm's linear (fused
// first, so a tied head is tied no more) and every other block must be turned
// by the same rotation.
//
// Requires  block passed check_block
// Errors    INVALID_ARGUMENT if rotation.size() is not hidden_size
// Source    Ashkboos et al., arXiv:2404.00456, section 4, stage 1a
Status rotate_residual(const Rotation& rotation, DecoderBlock* block,
                       const ParallelFor& run);

// R2 over a block: turns the outputs of each KV head of v and the inputs of
// each q head of o.
//
// Requires  block passed check_block
// Errors    INVALID_ARGUMENT if rotation.size() is not head_dim
// Source    Ashkboos et al., arXiv:2404.00456, section 4, stage 1c (the part
//           per head)
Status rotate_values(const Rotation& rotation, DecoderBlock* block,
                     const ParallelFor& run);

}  // namespace tessera::quant
