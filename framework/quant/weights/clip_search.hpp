// SPDX-License-Identifier: Apache-2.0
//
// Scales that clip the largest weights of a group when that lowers the error of
// the rest, and round-to-nearest with such scales.

#pragma once

#include <cstdint>
#include <span>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/encode_group.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/weights/round_rows.hpp"

namespace tessera::quant {

// Ranges to try: the whole one, then num_steps smaller ones down to `smallest`
// times it, evenly spaced.
struct ClipSearch {
  uint32_t num_steps = 0;  // 0: no search
  float smallest = 0.5f;
};

// The scale and zero point that minimize the sum over the group of importance *
// (decoded - value)^2; the wider range wins a tie.
//
// Shapes    values [n]; importance [n], or empty for 1
// Requires  finite values; clip.smallest in (0, 1]
// Source    AWQ's clip search, Lin et al., arXiv:2306.00978, section 5 (with
//           the diagonal of the Hessian in place of sample outputs)
format::GroupScale search_scale(const format::WeightScheme& scheme,
                                const ClipSearch& clip,
                                std::span<const float> values,
                                std::span<const float> importance);

// Rounds to nearest with searched scales.  Without a search the bytes are those
// of format::encode_weight.
//
// Shapes  values [N, K]; importance [K] (mean squares of the inputs), or empty
// Errors  INVALID_ARGUMENT as IntegerWeight::create and check_values; if
//         importance has another size, or a scale does not fit its type
Result<RoundedWeight> round_with_search(const format::WeightScheme& scheme,
                                        const ClipSearch& clip, uint32_t N,
                                        std::span<const float> values,
                                        std::span<const float> importance,
                                        const ParallelFor& run);

// Scales and zero points of a row, all groups, or of the whole weight.
//
// Errors  INVALID_ARGUMENT if a scale does not fit its type
Status check_scale(const format::WeightScheme& scheme,
                   const format::GroupScale& group);

}  // namespace tessera::quant
