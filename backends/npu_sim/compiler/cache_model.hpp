// SPDX-License-Identifier: Apache-2.0
//
// L2 by formula.

#pragma once

namespace tessera::npu {

// The share of a working set, visited again and again in the same order, that
// a cache with random replacement still holds at the next visit: h = exp(-(1 -
// h) * set / capacity), the solution below 1 if there is one.
double kept_share(double set_bytes, double capacity_bytes);

}  // namespace tessera::npu
