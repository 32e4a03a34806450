// SPDX-License-Identifier: Apache-2.0
//
// What a step would cost at rates guessed from what the driver says.

#include "backends/opencl/device.hpp"
#include "tessera/roofline.hpp"

namespace tessera::opencl {
namespace {

// A CPU core reads about 12 GB/s and does 2 FMAs of its vector width a cycle,
// of which kernels reach half.  A GPU's unit does about 128 FMAs a cycle and
// its memory moves a byte for every 15 operations.
sdk::RooflineRates rates_of(const DeviceFacts& facts) {
  constexpr double kOpNs = 10'000.0;  // to enqueue and start one kernel
  const double ghz = facts.clock_mhz == 0 ? 1.0 : facts.clock_mhz / 1000.0;
  const double units = facts.compute_units;
  if (facts.is_cpu) {
    return {12.0 * units, 2.0 * facts.vector_width * ghz * units, kOpNs};
  }
  const double peak = 256.0 * ghz * units;
  return {peak / 15.0, peak / 4.0, kOpNs};
}

}  // namespace

tsr_estimate OpenClDevice::estimate(const sdk::ProgramQuestion& question,
                                    const tsr_step_shape& step) {
  return sdk::roofline_estimate(question, step, rates_of(facts()));
}

}  // namespace tessera::opencl
