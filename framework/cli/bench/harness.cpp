// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/harness.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "framework/bench/measure/measure.hpp"
#include "framework/cli/figures.hpp"

namespace tessera::cli {
namespace {

// Each is there twice while the JSON is made.
constexpr size_t kSampleBytes = 2 * sizeof(double);

double process_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss <= 0) return 0.0;
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

std::string percent_text(double share) {
  constexpr double kLeast = 1e-4;
  if (share < kLeast) return "below 0.01 %";
  return fmt::format("{:.2f} %", 100.0 * share);
}

double sum_of(const Json& numbers) {
  double sum = 0.0;
  for (const Json& number : numbers) sum += number.get<double>();
  return sum;
}

}  // namespace

HarnessCost ops_harness(const Json& rows) {
  HarnessCost cost;
  for (const Json& row : rows) {
    if (!row.contains("samples_ns")) continue;
    cost.num_samples += row.at("samples_ns").size();
    cost.time_share =
        std::max(cost.time_share, row.value("harness_share", 0.0));
  }
  return cost;
}

HarnessCost model_harness(const Json& rows) {
  HarnessCost cost;
  const double clock = bench::clock_ns();
  for (const Json& row : rows) {
    if (!row.contains("samples")) continue;
    const Json& prefill = row.at("samples").at("prefill_ns");
    const Json& decode = row.at("samples").at("decode_ns");
    // The clock is read before and after the prompt and each decoding step.
    const size_t times = prefill.size() * (1 + row.value("tokens", size_t{0}));
    cost.num_samples += prefill.size() + times;
    const double timed = sum_of(prefill) + sum_of(decode);
    if (timed <= 0.0 || row.value("clock", "") == "simulated") continue;
    cost.time_share = std::max(
        cost.time_share, 2.0 * clock * static_cast<double>(times) / timed);
  }
  return cost;
}

std::string harness_text(const HarnessCost& cost) {
  if (cost.num_samples == 0) return "";
  const size_t bytes = cost.num_samples * kSampleBytes;
  const double all = process_bytes();
  std::string text =
      fmt::format("harness: {} of the timed time; {} of samples",
                  percent_text(cost.time_share), bytes_text(bytes));
  if (all > 0.0) {
    text += fmt::format(", {} of memory",
                        percent_text(static_cast<double>(bytes) / all));
  }
  return text + "\n";
}

}  // namespace tessera::cli
