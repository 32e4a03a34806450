// SPDX-License-Identifier: Apache-2.0
//
// Weights as the cube takes them: 16-bit floats in tiles of columns, or integer
// codes with scales.  Made from the planes of tessera/types.h.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/npu_sim/function/half.hpp"
#include "tessera/plugin.h"

namespace tessera::npu {

struct StaticActivation {
  float scale = 0.0f;
  float inv = 0.0f;
  int32_t zero_point = 0;
};

// What every weight may carry for its inputs and accumulators.
struct InputRules {
  std::vector<int32_t> permutation;  // [K] or empty, like the next two
  std::vector<float> multiplier;     // [K]
  std::vector<int32_t> quant_bias;   // [N]
  std::optional<StaticActivation> static_activation;
};

// Tile t holds columns n = 16 t .., [K, 16], zeros past N.  Codes of F8E4M3 are
// f16 values too, whose products are the same; rows of x become such codes, and
// sums take the scales of both.
struct HalfWeight {
  Half type = Half::kF16;
  int64_t N = 0;
  int64_t K = 0;
  std::vector<uint16_t> tiles;
  std::vector<float> scales;  // [N] of F8E4M3, else empty
  InputRules rules;
};

struct IntegerWeight {
  int64_t N = 0;
  int64_t K = 0;
  int64_t group_size = 0;      // K if a row has one scale
  bool per_channel = false;    // one scale a row and no second level
  int64_t max_integer = 0;     // no |code| is larger
  std::vector<int16_t> codes;  // [N, K]
  std::vector<float> scales;   // [N, ceil(K / group_size)]
  std::vector<float> scale2;   // [N]; 1 where there is none
  InputRules rules;

  int64_t num_groups() const { return (K + group_size - 1) / group_size; }
};

// The weight as 16-bit floats: as it is (F16, BF16, which must be `type`), or
// code by code RN16(RN(RN(S (code - Z)) SCALE2)), which is what the vector unit
// hands to the cube for w8a16 and w4a16; or codes of F8E4M3, `type` F16.
//
// Errors   throws sdk::Error INVALID_ARGUMENT, naming the plane, for a plane
//          that is missing, too small or of another type; DATA_LOSS for a
//          damaged tile; UNIMPLEMENTED for a format that has no such form
HalfWeight make_half_weight(const tsr_weight_desc& desc, Half type);

// The weight as integers: I8, I4, U4 (code - Z), SPARSE_FIXED.
IntegerWeight make_integer_weight(const tsr_weight_desc& desc);

}  // namespace tessera::npu
