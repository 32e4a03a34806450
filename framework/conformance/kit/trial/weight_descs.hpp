// SPDX-License-Identifier: Apache-2.0
//
// Weights of the host's as an array that crosses the ABI.

#pragma once

#include <vector>

#include "framework/format/weight.hpp"
#include "tessera/types.h"

namespace tessera::conformance {

// Borrows the weights.  Stays where it is: the descriptions point into it.
class WeightDescs {
 public:
  explicit WeightDescs(const std::vector<format::WeightData>& weights) {
    views_.reserve(weights.size());
    descs_.reserve(weights.size());
    for (const format::WeightData& weight : weights) {
      views_.push_back(weight.view());
      descs_.push_back(views_.back().desc());
    }
  }
  WeightDescs(const WeightDescs&) = delete;
  WeightDescs& operator=(const WeightDescs&) = delete;

  const std::vector<tsr_weight_desc>& all() const { return descs_; }

 private:
  std::vector<format::WeightView> views_;
  std::vector<tsr_weight_desc> descs_;
};

}  // namespace tessera::conformance
