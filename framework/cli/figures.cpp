// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tessera::cli {
namespace {

// Digits after the point that leave three significant ones.
int decimals_of(double value) {
  const double magnitude = std::abs(value);
  if (magnitude == 0.0 || !std::isfinite(magnitude)) return 0;
  // 0.9996 counts as 1: rounding to three digits carries.
  const int digits =
      static_cast<int>(std::floor(std::log10(magnitude * (1.0 + 5e-4))));
  return std::clamp(2 - digits, 0, 6);
}

// Too small for digits after a point.
bool is_tiny(double value) { return value != 0.0 && std::abs(value) < 1e-4; }

std::string scaled_text(double value, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000.0;
    ++unit;
  }
  const std::string text =
      unit == 0 ? fmt::format("{:.0f}", value) : number_text(value);
  return text + units[unit];
}

}  // namespace

std::string number_text(double value) {
  if (is_tiny(value)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.{}f}", value, decimals_of(value));
}

std::string bytes_text(uint64_t bytes) {
  return scaled_text(static_cast<double>(bytes),
                     {" B", " kB", " MB", " GB", " TB"});
}

std::string count_text(uint64_t count) {
  return scaled_text(static_cast<double>(count), {"", " k", " M", " G", " T"});
}

std::string duration_text(double ns) {
  if (ns < 999.5) return number_text(ns) + " ns";
  if (ns < 999.5e3) return number_text(ns / 1e3) + " us";
  if (ns < 999.5e6) return number_text(ns / 1e6) + " ms";
  return number_text(ns / 1e9) + " s";
}

std::string rate_text(double tokens_per_s) {
  return tokens_per_s > 0.0 ? number_text(tokens_per_s) + " tokens/s" : "-";
}

std::string interval_text(const Estimate& estimate, double scale) {
  const double value = estimate.value * scale;
  const double low = estimate.low * scale;
  const double high = estimate.high * scale;
  if (!estimate.has_interval()) return number_text(value);
  if (is_tiny(value)) {
    return fmt::format("{:.2e} [{:.2e}, {:.2e}]", value, low, high);
  }
  // All three with the digits of the figure itself.
  const int decimals = decimals_of(value);
  return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", value, decimals, low,
                     decimals, high, decimals);
}

double per_second(uint64_t count, uint64_t ns) {
  return ns == 0 ? 0.0
                 : static_cast<double>(count) * 1e9 / static_cast<double>(ns);
}

}  // namespace tessera::cli
