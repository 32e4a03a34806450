// SPDX-License-Identifier: Apache-2.0
//
// Weights of every format for cases of linear.

#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/weight.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

// How a weight is made besides its size.
struct WeightKind {
  format::WeightScheme scheme;
  bool all_codes = false;  // every code of the format occurs, if it is large
  bool permutation = false;
  bool input_multiplier = false;
  bool quant_bias = false;
  bool static_activation = false;
  int32_t act_zero_point = 0;
  bool power_of_two_scales = false;

  std::string text() const;  // "g32_asym_f16_perm"
};

// K, or the next that the format can have.
uint32_t fit_depth(uint32_t format, uint32_t K);

// Errors: those of the format's encoder.
Result<format::WeightData> make_weight(const WeightKind& kind, uint32_t N,
                                       uint32_t K, std::mt19937& rng);

// The schemes that the plane rules of `row` may admit, simplest first.
std::vector<WeightKind> weight_kinds_of(const tsr_kernel_desc& row);

}  // namespace tessera::conformance
