// SPDX-License-Identifier: Apache-2.0
//
// Rounds f32 weights to the nearest codes of a format (round to nearest, RTN),
// a row at a time so that no more than the result is held in memory.

#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"

namespace tessera::format {

// What a symmetric scale is: the largest magnitude of its group, amax, divided
// by ...
enum class ScaleRule {
  kMaxCode,    // 127 or 7: amax has a code.  Codes -127 .. 127 or -8 .. 7
  kHalfRange,  // 128 or 8.  Codes -128 .. 127 or -8 .. 7, like the next two
  kHalfSpan,   // 127.5 or 7.5: what compressed-tensors divides by
  kSignedMax,  // GGUF's: the value of magnitude amax, with its sign, over -128
               // or -8, so that it always has a code; scales may be negative
};

// How a weight is stored.  Fields that a format has no use for are ignored: the
// float and GGUF formats use none, F8 and F4 the group, MXFP4 and NVFP4 have
// their own.
struct WeightScheme {
  uint32_t format = TSR_WEIGHT_F32;
  uint32_t group_size = 0;  // weights along K that share a scale; 0: the row
  bool per_tensor = false;  // one scale for the whole weight
  bool symmetric = true;    // else a zero point per scale; I8, U8 and U4 only
  ScaleRule scale_rule = ScaleRule::kMaxCode;
  uint32_t scale_dtype = TSR_F32;  // F32, F16 or BF16
  // I4 only, symmetric, not per tensor: group scales are U8 multiples of
  // SCALE2, one per row in scale_dtype; scale_rule is not used.
  bool two_level = false;
};

// Writes row n of the weight to out_row, which has K elements.
using RowSource = std::function<Status(uint32_t n, std::span<float> out_row)>;

// The weight in the scheme's format.
//
//   integers    code = rne(x / scale), ties to even, with the scale as stored;
//               asymmetric: the range is widened to hold 0, scale = (max - min)
//               / max_code, zero point = rne(-min / scale)
//   two-level   SCALE2 = amax of the row / 126; S the integer, 1 .. 18, that
//               lets the group err least; |S * code| <= 127, so S * code is an
//               s8 of the first level
//   F8, F4      scale = amax / largest finite value; code = rne(x / scale)
//   MXFP4       exponent floor(log2 amax) - 2, ties to even
//   NVFP4       SCALE2 = amax of all / (6 * 448); S = e4m3(amax / (6 * SCALE2))
//   GGUF        gguf_block.hpp, with `importance` [K] if it is not empty;
//               other formats do not use it
//
// A group whose amax is below 2^-100 becomes zeros; its scale is 1 (integers,
// F8, F4), so that every reader decodes exact zeros.
//
// `rows` is called in ascending n, twice if there is one scale per tensor
// (NVFP4 too).
//
// Errors  INVALID_ARGUMENT, naming the row, for NaN, infinity, or a value or
//         scale that the type cannot hold; or for a scheme or shape that does
//         not exist, such as a K that GGUF blocks do not divide; or for
//         importance of another size, negative or not finite
//         UNIMPLEMENTED for formats without an encoder; whatever `rows` returns
// Source  group scales: Jacob et al., arXiv:1712.05877; MX: OCP Microscaling
//         Formats 1.0, section 6.3; two levels: QServe, arXiv:2405.04532
Result<WeightData> encode_rows(const WeightScheme& scheme, uint32_t N,
                               uint32_t K, const RowSource& rows,
                               std::span<const float> importance = {});

// The same for a weight that is in memory, [N, K].
Result<WeightData> encode_weight(const WeightScheme& scheme, uint32_t N,
                                 uint32_t K, std::span<const float> values,
                                 std::span<const float> importance = {});

}  // namespace tessera::format
