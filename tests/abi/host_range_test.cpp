// SPDX-License-Identifier: Apache-2.0
//
// Which version the framework's host takes of those that it and a plugin speak.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/host/loading/negotiate.hpp"
#include "tests/abi/test_host.hpp"

namespace tessera {
namespace {

constexpr uint32_t kThisMinor = TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR;

TEST(NewerHost, TakesTheHighestVersionOfAnOlderPlugin) {
  const abi_test::TestPlugin probe(PROBE_PLUGIN);
  const tsr_host_services services = abi_test::make_services();
  const auto negotiated =
      negotiate(&probe.header(), &services, {kThisMinor, kThisMinor + 7});
  ASSERT_TRUE(negotiated.ok()) << negotiated.status().message();
  EXPECT_EQ(negotiated->abi_version, kThisMinor);
}

TEST(NewerHost, RefusesAPluginThatIsTooOld) {
  const abi_test::TestPlugin probe(PROBE_PLUGIN);
  const tsr_host_services services = abi_test::make_services();
  const auto negotiated =
      negotiate(&probe.header(), &services, {kThisMinor + 1, kThisMinor + 7});
  EXPECT_EQ(negotiated.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(negotiated.status().message(),
              testing::HasSubstr("built for ABI 1.0 to 1.0"));
}

}  // namespace
}  // namespace tessera
