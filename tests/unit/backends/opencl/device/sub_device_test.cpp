// SPDX-License-Identifier: Apache-2.0
//
// Parts of a device are devices of their own, named by index.

#include <gmock/gmock.h>

#include "framework/host/loading/registry.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

using testing::HasSubstr;

TEST(OpenClSubDevice, IsAPartOfADeviceAndGivesTheOraclesResults) {
  RegistryOptions options;
  options.folders = {std::string(TSR_BINARY_DIR) + "/plugins"};
  options.devices = {"opencl:0.1", "opencl:0.99", "opencl:9.0", "opencl:0.x"};
  options.host.cache_root = std::string(TSR_BINARY_DIR) + "/opencl-cache";
  const Registry registry = Registry::discover(options);
  const auto whole = registry.open("opencl:0");
  if (!whole.ok()) GTEST_SKIP() << whole.status().message();
  if (registry.find("opencl:0.x").status().code() == TSR_NOT_FOUND) {
    GTEST_SKIP() << "another test of this process has loaded the plugin";
  }
  EXPECT_THAT(registry.open("opencl:0.99").status().message(),
              HasSubstr("part 99 of "));
  EXPECT_THAT(registry.open("opencl:9.0").status().message(),
              HasSubstr("there is no device opencl:9"));
  EXPECT_THAT(registry.open("opencl:0.x").status().message(),
              HasSubstr("neither an index"));
  const auto part = registry.open("opencl:0.1");
  if (!part.ok()) GTEST_SKIP() << part.status().message();
  EXPECT_THAT((*part)->info().name, HasSubstr(" part 1"));
  EXPECT_EQ((*part)->info().compute_id, (*whole)->info().compute_id);
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 40, 64, rng);
  LinearCase c;
  c.M = 9;
  expect_linear(*part, planes, c);
}

}  // namespace
}  // namespace tessera::device_test
