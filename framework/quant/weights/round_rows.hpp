// SPDX-License-Identifier: Apache-2.0
//
// Rounds a weight to integers a few rows at a time, so that no more than the
// result is held and every value is touched while it is in the cache.

#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/encode_group.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/weights/weight_error.hpp"

namespace tessera::quant {

// Writes rows first_row, first_row + 1, ... of a weight, whole ones.  Any
// thread.
using ReadRows =
    std::function<void(uint32_t first_row, std::span<float> out_rows)>;

// The scale of group g of row n.  Any thread.
using ChooseScale = std::function<format::GroupScale(
    uint32_t n, uint32_t g, std::span<const float> values)>;

struct RoundedWeight {
  format::WeightData weight;
  WeightError error;
};

// Every value's nearest code at the scale of its group.
//
// Errors  INVALID_ARGUMENT as IntegerWeight::create; naming row and column, for
//         NaN or infinity; naming the row, if a scale does not fit its type
Result<RoundedWeight> round_rows(const format::WeightScheme& scheme, uint32_t N,
                                 uint32_t K, const ReadRows& rows,
                                 const ChooseScale& choose,
                                 const ParallelFor& run);

// True if round_to_nearest takes the scheme.
bool rounds_by_rows(const format::WeightScheme& scheme);

// The bytes of format::encode_weight.
//
// Requires  rounds_by_rows(scheme)
// Errors    those of round_rows
Result<RoundedWeight> round_to_nearest(const format::WeightScheme& scheme,
                                       uint32_t N, uint32_t K,
                                       const ReadRows& rows,
                                       const ParallelFor& run);

}  // namespace tessera::quant
