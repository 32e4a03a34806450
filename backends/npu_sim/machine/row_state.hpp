// SPDX-License-Identifier: Apache-2.0
//
// What a core knows of a row that comes to UB in parts, f32 each: the largest
// or the partial sums of one visit, then those of the next.  Sums have
// TSR_SUM_LANES partial ones, element i of the row in number i modulo that.

#pragma once

#include <cstdint>

#include "tessera/portable_math.h"

namespace tessera::npu {

inline constexpr int64_t kRowMaximumAt = 0;
inline constexpr int64_t kFirstSumsAt = 32;
inline constexpr int64_t kSumsBytes = int64_t{4} * TSR_SUM_LANES;
inline constexpr int64_t kSecondSumsAt = kFirstSumsAt + kSumsBytes;
inline constexpr int64_t kRowStateBytes = kSecondSumsAt + kSumsBytes;

}  // namespace tessera::npu
