// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost at rates that were measured when they were first asked
// for, and kept beside the pipelines of the same device and driver.

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"
#include "backends/vulkan/probe.hpp"

namespace tessera::vulkan {
namespace {

constexpr double kOpNs = 10'000.0;  // to enqueue and start one kernel

bool is_rate(double value) { return std::isfinite(value) && value > 0.0; }

// What kernels reach of what the device can do at most.
constexpr double kReached = 0.5;

template <typename Time>
double least(const Time& time) {
  time();  // compiles
  return std::min({time(), time(), time()});
}

sdk::RooflineRates measure(Gpu& gpu, Pipelines& pipelines) {
  constexpr uint64_t kReadBytes = uint64_t{64} << 20;
  constexpr uint32_t kSteps = 500;
  constexpr uint32_t kChains = 8;
  Probe probe(gpu, pipelines, kReadBytes, kSteps);
  double read = least([&] { return probe.read_seconds(false); });
  if (probe.has_texels()) {
    read = std::min(read, least([&] { return probe.read_seconds(true); }));
  }
  const double multiply = least(
      [&] { return probe.multiply_seconds(Probe::Kind::kFloat, kChains); });
  const double operations = probe.operations(Probe::Kind::kFloat, kChains);
  return {kReached * static_cast<double>(kReadBytes) / (read * 1e9),
          kReached * operations / (multiply * 1e9), kOpNs};
}

// None where that is no text of `text_of`.
std::optional<sdk::RooflineRates> rates_of(const std::string& text) {
  std::istringstream in(text);
  sdk::RooflineRates rates{};
  in >> rates.bytes_per_ns >> rates.ops_per_ns;
  rates.op_ns = kOpNs;
  if (in.fail() || !is_rate(rates.bytes_per_ns) || !is_rate(rates.ops_per_ns)) {
    return std::nullopt;
  }
  return rates;
}

// In full, so that a rate that was kept is the one that was measured.
std::string text_of(const sdk::RooflineRates& rates) {
  std::ostringstream out;
  out << std::setprecision(std::numeric_limits<double>::max_digits10)
      << rates.bytes_per_ns << ' ' << rates.ops_per_ns << '\n';
  return out.str();
}

// What looking up the codes of W8A8SC takes beside their products: once for the
// rows of a block, or, of steps of many rows, once.  Kernels make a seventh as
// many codes as they do operations, of one row on a CPU.
double lookup_ops(const sdk::ProgramQuestion& question,
                  const tsr_step_shape& step) {
  constexpr double kOpsOfACode = 7.0;
  double ops = 0.0;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const sdk::OpFacts facts = sdk::read_op_facts(question, i);
    if (facts.kind != TSR_OP_LINEAR ||
        facts.weight_format != TSR_WEIGHT_SPARSE_FIXED) {
      continue;
    }
    const uint32_t rows =
        facts.M_varies ? std::min(facts.M, step.num_tokens) : facts.M;
    const uint32_t times =
        rows < kRowsToExpand ? (rows + kMostBlockRows - 1) / kMostBlockRows : 1;
    ops += kOpsOfACode * times * facts.N * facts.K;
  }
  return ops;
}

}  // namespace

const sdk::RooflineRates& VulkanDevice::rates() {
  const std::lock_guard<std::mutex> lock(rates_mutex_);
  if (rates_) return *rates_;
  const CacheFile file = pipelines_.cache_file("rates");
  rates_ = rates_of(file.load());
  if (!rates_) {
    rates_ = measure(gpu_, pipelines_);
    file.store(text_of(*rates_));
  }
  return *rates_;
}

tsr_estimate VulkanDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  tsr_estimate estimate = sdk::roofline_estimate(question, step, rates());
  const double lookups_ns = lookup_ops(question, step) / rates().ops_per_ns;
  estimate.mean_ns += static_cast<uint64_t>(lookups_ns);
  estimate.p90_ns += static_cast<uint64_t>(1.5 * lookups_ns);
  return estimate;
}

}  // namespace tessera::vulkan
