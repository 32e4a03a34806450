// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/vulkan/bench/limits.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "tessera/error.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 29;
constexpr uint32_t kSteps = 4000;
constexpr uint64_t kTimeoutNs = 600'000'000'000;

const GpuFacts& first_gpu() {
  const Instance& instance = Instance::get();
  if (instance.gpus().empty()) {
    throw sdk::Error(TSR_UNAVAILABLE, instance.reason());
  }
  return instance.gpus().front();
}

// The least of three times.
template <typename Time>
double least(const Time& time) {
  time();  // compiles
  return std::min({time(), time(), time()});
}

}  // namespace

VulkanLimits::VulkanLimits()
    : gpu_(first_gpu(), one_lane(first_gpu().queues), kTimeoutNs),
      pipelines_(gpu_, "", Features{}),
      probe_(gpu_, pipelines_, kReadBytes, kSteps) {
  const double by_address = least([&] { return probe_.read_seconds(false); });
  reads_texels_ = probe_.has_texels() &&
                  least([&] { return probe_.read_seconds(true); }) < by_address;
  float_chains_ = best_chains(Probe::Kind::kFloat);
  const uint32_t dots = best_chains(Probe::Kind::kDot);
  const uint32_t integers = best_chains(Probe::Kind::kInteger);
  const bool dot_is_best = multiply(Probe::Kind::kDot, dots).wall >
                           multiply(Probe::Kind::kInteger, integers).wall;
  int8_kind_ = dot_is_best ? Probe::Kind::kDot : Probe::Kind::kInteger;
  int8_chains_ = dot_is_best ? dots : integers;
  std::printf(
      "read by %s, f32 in %u chains, int8 as %s in %u chains (others: int8 "
      "dot %.1f GOP/s)\n",
      reads_texels_ ? "texels" : "addresses", float_chains_,
      dot_is_best ? "dot" : "int32", int8_chains_,
      multiply(Probe::Kind::kDot, dots).wall);
}

uint32_t VulkanLimits::best_chains(Probe::Kind kind) {
  uint32_t best = 1;
  double most = 0.0;
  for (const uint32_t chains : {1U, 4U, 8U, 16U}) {
    const double rate = probe_.operations(kind, chains) / least([&] {
                          return probe_.multiply_seconds(kind, chains);
                        });
    if (rate > most) best = chains;
    most = std::max(most, rate);
  }
  return best;
}

Rate VulkanLimits::multiply(Probe::Kind kind, uint32_t chains) {
  const device_test::Stopwatch watch;
  probe_.multiply_seconds(kind, chains);
  return device_test::rate_of(probe_.operations(kind, chains) * 1e-9,
                              watch.elapsed(compute_units()));
}

// A GPU's processors are no threads of ours; by the wall both are the same.
uint32_t VulkanLimits::compute_units() const {
  return gpu_.facts().is_cpu ? std::max(std::thread::hardware_concurrency(), 1U)
                             : 1;
}

Rate VulkanLimits::read() {
  const device_test::Stopwatch watch;
  probe_.read_seconds(reads_texels_);
  return device_test::rate_of(static_cast<double>(kReadBytes) * 1e-9,
                              watch.elapsed(compute_units()));
}

Rate VulkanLimits::fma() {
  return multiply(Probe::Kind::kFloat, float_chains_);
}

Rate VulkanLimits::int8() { return multiply(int8_kind_, int8_chains_); }

}  // namespace tessera::vulkan
