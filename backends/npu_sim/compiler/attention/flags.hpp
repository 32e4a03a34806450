// SPDX-License-Identifier: Apache-2.0
//
// Which flag guards what in the streams of attention.

#pragma once

#include <cstdint>

namespace tessera::npu {

inline constexpr int64_t kBuffers = 2;
inline constexpr int64_t kFloatBytes = 4;
inline constexpr int64_t kFractalRows = 16;

// L1, each buffer its own.
inline constexpr int64_t kPacketFlag = 0;
inline constexpr int64_t kWeightFlag = 8;
inline constexpr int64_t kQueryFlag = 10;
inline constexpr int64_t kWideKeyFlag = 0;  // to and from MTE3, like the next
inline constexpr int64_t kWideValueFlag = 4;
// UB.
inline constexpr int64_t kPieceFlag = 0;
inline constexpr int64_t kResultFlag = 2;
inline constexpr int64_t kIncomingFlag = 9;
inline constexpr int64_t kWidenFlag = 10;  // and five more
inline constexpr int64_t kMaximaFlag = 13;
inline constexpr int64_t kMarkFlag = 14;
// Between cores.
inline constexpr int64_t kScoreFlag = 0;
inline constexpr int64_t kSumFlag = 2;
inline constexpr int64_t kPlaceFlag = 3;
inline constexpr int64_t kWideFlag = 4;  // of keys; the next one of values

}  // namespace tessera::npu
