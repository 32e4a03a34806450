// SPDX-License-Identifier: Apache-2.0
//
// Planes written out by hand, for tests of what their bits mean.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "framework/format/weight.hpp"

namespace tessera::reference {

// A plane [rows, cols] that holds the bytes of `values`.
template <typename T>
format::Plane make_plane(uint32_t role, uint32_t dtype, uint32_t rows,
                         uint32_t cols, const std::vector<T>& values) {
  format::Plane plane{role, dtype, rows, cols, 1, 1, {}, {}};
  plane.owned.resize(values.size() * sizeof(T));
  std::memcpy(plane.owned.data(), values.data(), plane.owned.size());
  return plane;
}

// The same for a scale-like plane of blocks block_n x block_k.
template <typename T>
format::Plane make_blocked_plane(const format::WeightData& weight,
                                 uint32_t role, uint32_t dtype,
                                 uint32_t block_n, uint32_t block_k,
                                 const std::vector<T>& values) {
  format::Plane plane =
      make_plane(role, dtype, (weight.N + block_n - 1) / block_n,
                 (weight.K + block_k - 1) / block_k, values);
  plane.block_n = block_n;
  plane.block_k = block_k;
  return plane;
}

}  // namespace tessera::reference
