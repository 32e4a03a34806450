// SPDX-License-Identifier: Apache-2.0
//
// W8A8SC weights stay compressed on the device, but for the panel that a step
// of many rows multiplies.

#include <gtest/gtest.h>

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

uint64_t packed_bytes(const std::shared_ptr<Device>& device,
                      const format::WeightData& planes) {
  const auto weight = device->load_weight(planes.view().desc());
  if (!weight.ok()) throw std::runtime_error(weight.status().message());
  return weight->packed_bytes();
}

uint64_t plane_bytes(const format::WeightData& planes) {
  uint64_t bytes = 0;
  for (const format::Plane& plane : planes.planes) {
    bytes += plane.owned.size();
  }
  return bytes;
}

// Beyond the container's own bytes an escape has one for its column, and there
// is room for the codes of 0 that may stand between escapes.
TEST(VulkanSparse, TakesTheContainersBytesOnTheDevice) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const uint32_t N = 1024;
  const uint32_t K = 2048;
  const auto dense = random_weight(weight_kind("i8_channel"), N, K, rng);
  const auto sparse = random_weight(weight_kind("sparse"), N, K, rng);
  const auto bytes = static_cast<double>(packed_bytes(device, sparse));
  EXPECT_LT(bytes, 1.06 * static_cast<double>(plane_bytes(sparse)));
  EXPECT_LT(bytes, 0.56 * static_cast<double>(packed_bytes(device, dense)));
}

// A tile expands to 1 MiB here and a panel has 8: the first begins after tile
// 0, the second is short.
TEST(VulkanSparse, PanelsOfManyRowsAreTheOracle) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const auto sparse = random_weight(weight_kind("sparse"), 700, 16384, rng);
  LinearCase c;
  c.M = 33;
  c.n_begin = 70;
  c.n_end = 690;
  c.act_quant = TSR_ACT_I8_DYNAMIC;
  c.y_dtype = TSR_I32;
  expect_linear(device, sparse, c);
}

}  // namespace
}  // namespace tessera::device_test
