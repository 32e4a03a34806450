// SPDX-License-Identifier: Apache-2.0
//
// Two ways to the same end, timed in turn.

#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "framework/host/device/device.hpp"
#include "tests/unit/backends/device/bench/linear_steps.hpp"
#include "tests/unit/backends/device/bench/rounds.hpp"

namespace tessera::device_test {

struct LinearSize {
  uint32_t M;
  uint32_t N;
  uint32_t K;

  std::string text() const {
    return "M=" + std::to_string(M) + " " + std::to_string(N) + "x" +
           std::to_string(K);
  }
  LinearRow row(const char* weight, uint32_t act_quant) const {
    return {"", weight, act_quant, M, N, K};
  }
};

template <typename Run>
double seconds_of(const Run& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

// Prints how many times as fast the first is.  The median of the rounds' ratios
// holds where other work slows whole rounds.
template <typename First, typename Second>
void compare(const std::string& name, double operations, const First& first,
             const Second& second) {
  first();
  second();
  std::vector<double> times;
  std::vector<double> others;
  std::vector<double> ratios;
  for (int i = 0; i < kRounds; ++i) {
    times.push_back(seconds_of(first));
    others.push_back(seconds_of(second));
    ratios.push_back(others.back() / times.back());
  }
  std::printf("%-44s %6.1f over %6.1f GOP/s = %5.2f times as fast\n",
              name.c_str(), operations * 1e-9 / median(times),
              operations * 1e-9 / median(others), median(ratios));
  std::fflush(stdout);
}

// The device's int8 over its f32, for each pair whose name holds `part`. Throws
// std::runtime_error.
void compare_int8_with_f32(const std::shared_ptr<Device>& device,
                           const std::string& part);

}  // namespace tessera::device_test
