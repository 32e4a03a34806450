// SPDX-License-Identifier: Apache-2.0
//
// A linear that is run again and again, over one weight or over many.

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {

struct LinearRow {
  const char* name;
  const char* weight;  // as weight_kind() knows it
  uint32_t act_quant;
  uint32_t M;
  uint32_t N;
  uint32_t K;
};

double operations_of(const LinearRow& row);

class LinearSteps {
 public:
  // A step goes over as many weights as have `least_bytes` together.  Throws
  // std::runtime_error.
  LinearSteps(const std::shared_ptr<Device>& device, const LinearRow& row,
              double least_bytes = 0.0);

  RepeatedStep& steps() { return *steps_; }
  // Canonical, of all weights.
  double weight_bytes() const { return weight_bytes_; }

 private:
  std::mt19937 rng_{42};
  TestTensor x_;
  TestTensor y_;
  std::vector<Weight> weights_;
  double weight_bytes_ = 0.0;
  std::optional<RepeatedStep> steps_;
};

}  // namespace tessera::device_test
