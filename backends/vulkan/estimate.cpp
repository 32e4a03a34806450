// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost at rates guessed from the kind of device.

#include "backends/vulkan/device.hpp"
#include "tessera/roofline.hpp"

namespace tessera::vulkan {
namespace {

// Of a CPU what two cores give through lavapipe, of a GPU what a small one has.
sdk::RooflineRates rates_of(const GpuFacts& facts) {
  constexpr double kOpNs = 10'000.0;  // to enqueue and start one kernel
  return facts.is_cpu ? sdk::RooflineRates{3.0, 8.0, kOpNs}
                      : sdk::RooflineRates{100.0, 1000.0, kOpNs};
}

}  // namespace

tsr_estimate VulkanDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  return sdk::roofline_estimate(question, step, rates_of(gpu_.facts()));
}

}  // namespace tessera::vulkan
