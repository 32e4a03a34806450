// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/device.hpp"

namespace tessera::cpu {
tsr_estimate CpuDevice::estimate(const ProgramQuestion&,
                                 const tsr_step_shape&) {
  throw unimplemented("estimate");
}
}  // namespace tessera::cpu
