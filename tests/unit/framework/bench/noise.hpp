// SPDX-License-Identifier: Apache-2.0
//
// Timings as machines give them, of laws that are known: what the promises of
// the benchmark are held against.

#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace tessera::bench {

struct Law {
  std::string name;
  std::function<double(std::mt19937&)> draw;
};

inline void PrintTo(const Law& law, std::ostream* out) { *out << law.name; }

inline std::vector<Law> noise_laws() {
  const auto normal = [](std::mt19937& rng) {
    return std::normal_distribution<double>(100.0, 1.0)(rng);
  };
  const auto skewed = [](std::mt19937& rng) {
    return std::lognormal_distribution<double>(0.0, 0.5)(rng);
  };
  const auto waiting = [](std::mt19937& rng) {
    return 1.0 + std::exponential_distribution<double>(1.0)(rng);
  };
  // What a busy machine does: one in ten is slowed by a lot.
  const auto outliers = [](std::mt19937& rng) {
    const double delay = std::exponential_distribution<double>(0.2)(rng);
    return 1.0 + std::abs(std::normal_distribution<double>(0.0, 0.02)(rng)) +
           (rng() % 10 == 0 ? delay : 0.0);
  };
  return {{"normal", normal},
          {"skewed", skewed},
          {"waiting", waiting},
          {"outliers", outliers}};
}

inline std::vector<double> draw_samples(const Law& law, size_t count,
                                        std::mt19937& rng) {
  std::vector<double> samples(count);
  for (double& sample : samples) sample = law.draw(rng);
  return samples;
}

inline constexpr size_t kSimulatedCases = 40;
inline constexpr size_t kPlantedCase = 7;

// A run of 40 ops with 15 samples each, on a machine with 2 % of noise that
// delays one sample in twenty; one op is slowed by `factor`.
inline nlohmann::ordered_json simulate_run(double factor, std::mt19937& rng) {
  std::normal_distribution<double> noise(1.0, 0.02);
  std::exponential_distribution<double> delay(2.0);
  auto rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < kSimulatedCases; ++i) {
    std::vector<double> samples(15);
    const double median =
        1e3 * static_cast<double>(i + 1) * (i == kPlantedCase ? factor : 1.0);
    for (double& sample : samples) {
      const bool is_delayed = rng() % 20 == 0;
      sample = median * noise(rng) * (is_delayed ? 1.0 + delay(rng) : 1.0);
    }
    rows.push_back({{"case", "op " + std::to_string(i)},
                    {"clock", "wall"},
                    {"samples_ns", samples}});
  }
  return rows;
}

}  // namespace tessera::bench
