// SPDX-License-Identifier: Apache-2.0
//
// What weights of 4 bits gain or lose against f16: their values are made anew
// for every launch, which nobody may forget who counts their bytes.

#pragma once

#include <string>
#include <vector>

namespace tessera::npu {

// Of w4a16 against f16 on one chip, by rows of the input: time of f16 over its
// own, the least and the most of all weights tried.
struct WideningGain {
  int rows = 0;
  double least = 0;
  double most = 0;
};

// Row counts from decode to prefill; simulated time of the machine.
std::vector<WideningGain> widening_gains(const std::string& profile);

}  // namespace tessera::npu
