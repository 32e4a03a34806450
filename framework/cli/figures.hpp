// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people read them.

#pragma once

#include <cstdint>
#include <string>

#include "framework/eval/metrics.hpp"

namespace tessera::cli {

// Three significant digits at least: "0.0123", "45.6", "1234"; an exponent only
// below 1e-4.
std::string number_text(double value);
// "10.5 MB"; powers of 1000.
std::string bytes_text(uint64_t bytes);
// "5.25 M"; powers of 1000.
std::string count_text(uint64_t count);
// "12.3 us".
std::string duration_text(double ns);
// "1234 tokens/s", or "-" if nothing was measured.
std::string rate_text(double tokens_per_s);

// "4.12 [4.01, 4.25]", "4.12" without an interval; `scale` 100 turns shares
// into percent.
std::string interval_text(const Estimate& estimate, double scale = 1.0);

// 0 if no time has passed.
double per_second(uint64_t count, uint64_t ns);

}  // namespace tessera::cli
