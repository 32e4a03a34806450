// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost at rates that were measured when they were first asked
// for, and kept beside the pipelines of the same device and driver.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "backends/vulkan/device.hpp"
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

bool read_rates(const std::string& path, sdk::RooflineRates& rates) {
  std::ifstream file(path);
  file >> rates.bytes_per_ns >> rates.ops_per_ns;
  rates.op_ns = kOpNs;
  return !file.fail() && is_rate(rates.bytes_per_ns) &&
         is_rate(rates.ops_per_ns);
}

// By rename, so that readers see a whole file.  A failure is no error: the next
// start measures again.
void write_rates(const std::string& path, const sdk::RooflineRates& rates) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial);
  file << rates.bytes_per_ns << ' ' << rates.ops_per_ns << '\n';
  file.close();
  std::error_code ignored;
  if (file.good()) std::filesystem::rename(partial, path, ignored);
}

}  // namespace

const sdk::RooflineRates& VulkanDevice::rates() {
  const std::lock_guard<std::mutex> lock(rates_mutex_);
  if (is_rate(rates_.bytes_per_ns)) return rates_;
  const std::string path = pipelines_.cache_path("rates");
  if (path.empty() || !read_rates(path, rates_)) {
    rates_ = measure(gpu_, pipelines_);
    if (!path.empty()) write_rates(path, rates_);
  }
  return rates_;
}

tsr_estimate VulkanDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  return sdk::roofline_estimate(question, step, rates());
}

}  // namespace tessera::vulkan
