// SPDX-License-Identifier: Apache-2.0
//
// A fixed point by iteration from below.

#include "backends/npu_sim/compiler/cache_model.hpp"

#include <cmath>

namespace tessera::npu {

double kept_share(double set_bytes, double capacity_bytes) {
  const double load = set_bytes / capacity_bytes;
  if (load <= 1) return 1;
  double share = 0;
  for (int i = 0; i < 12; ++i) share = std::exp(-(1 - share) * load);
  return share;
}

}  // namespace tessera::npu
