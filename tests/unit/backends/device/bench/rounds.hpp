// SPDX-License-Identifier: Apache-2.0
//
// What is timed is timed in turn with what it is held against.

#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::device_test {

constexpr int kRounds = 9;

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

}  // namespace tessera::device_test
