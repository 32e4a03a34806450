// SPDX-License-Identifier: Apache-2.0

#include "framework/host/barring/barred_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/host/device/device.hpp"
#include "framework/host/loading/registry.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

constexpr uint32_t N = 4;
constexpr uint32_t K = 8;

class ToyWithKnownFailures : public testing::Test {
 protected:
  ToyWithKnownFailures()
      : plugin_(*Plugin::load(toy_manifest(), test_options())) {}

  Result<std::shared_ptr<Device>> open(const std::string& id) const {
    const std::vector<DeviceFacts> facts =
        *read_devices(plugin_->api(), plugin_->name());
    return open_barred(plugin_, 0, {}, facts[0],
                       {{id, "rounds the wrong way"}});
  }

  std::shared_ptr<Plugin> plugin_;
  ToyWeightData data_{N, K};
};

TEST_F(ToyWithKnownFailures, AreRefusedTheKernelByCheck) {
  const auto device = open("L1/linear_f32_i8c/float/M5");
  ASSERT_TRUE(device.ok()) << device.status().message();
  const tsr_weight_desc desc = data_.desc();
  const auto refusals =
      (*device)->check(linear_program(N, K, 1, 1, 64), {&desc, 1}, {});
  ASSERT_TRUE(refusals.ok()) << refusals.status().message();
  ASSERT_EQ(refusals->size(), 1u);
  EXPECT_EQ(refusals->front().op, 0u);
  EXPECT_EQ(refusals->front().reason, uint32_t{TSR_REFUSED_FEATURE});
  EXPECT_THAT(refusals->front().message, HasSubstr("linear_f32_i8c is barred"));
  EXPECT_THAT(refusals->front().message, HasSubstr("rounds the wrong way"));
}

TEST_F(ToyWithKnownFailures, RunNoProgramOnTheKernel) {
  for (const char* id :
       {"L1/linear_f32_i8c/float/M5", "L1/coverage/linear_f32_i8c",
        "L1/changing_sizes/linear_f32_i8c", "L1/changing_steps/linear_f32_i8c",
        "L1/packed_again/linear_f32_i8c"}) {
    const auto device = open(id);
    ASSERT_TRUE(device.ok()) << device.status().message();
    const Result<Weight> weight = (*device)->load_weight(data_.desc());
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    const auto sums = run_linear(*device, *weight, N, K);
    EXPECT_EQ(sums.status().code(), TSR_UNIMPLEMENTED) << id;
    EXPECT_THAT(sums.status().message(), HasSubstr("linear_f32_i8c is barred"));
  }
}

TEST_F(ToyWithKnownFailures, OfACaseThatNamesNoKernelAreNotOpened) {
  for (const char* id :
       {"L0/records/weight", "L1/transfer/copy", "L1/refuse/linear/K1",
        "L1/transfer/linear_f32_i8c", "L1/coverage", "L1/coverage/other",
        "L2/threads", "L3/linear/rank", "L4/model"}) {
    const Status status = open(id).status();
    EXPECT_EQ(status.code(), TSR_FAILED_PRECONDITION) << id;
    EXPECT_THAT(status.message(), HasSubstr("toy:0 is barred from plans"));
    EXPECT_THAT(status.message(), HasSubstr(id));
  }
}

// Another kernel's failure is none of this op's.
TEST_F(ToyWithKnownFailures, RunWhatNoFailureNames) {
  std::vector<DeviceFacts> facts =
      *read_devices(plugin_->api(), plugin_->name());
  tsr_kernel_desc other = facts[0].kernels[0];
  other.name = "other";
  other.op = TSR_OP_ADD;
  facts[0].kernels.push_back(other);
  const auto device =
      open_barred(plugin_, 0, {}, facts[0], {{"L1/other/M1", "not today"}});
  ASSERT_TRUE(device.ok()) << device.status().message();
  const Result<Weight> weight = (*device)->load_weight(data_.desc());
  ASSERT_TRUE(weight.ok());
  const auto sums = run_linear(*device, *weight, N, K);
  ASSERT_TRUE(sums.ok()) << sums.status().message();
  EXPECT_EQ(*sums, data_.row_sums());
}

// What plan and run open devices with.
TEST(Registry, BarsWhatACertificateNames) {
  const TemporaryFolder state;
  const char* before = getenv("XDG_STATE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  setenv("XDG_STATE_HOME", state.path().c_str(), 1);
  const auto plugin = *Plugin::load(toy_manifest(), test_options());
  Certificate certificate;
  const tsr_device_info info = (*Device::open(plugin, 0))->info();
  certificate.subject = {plugin->sha256(), "toy:0", info.name, info.driver};
  certificate.plugin = "toy";
  certificate.known_failures = {{"L2/threads", "not yet"}};
  ASSERT_TRUE(user_certificates().save(certificate).ok());
  RegistryOptions options;
  options.folders = {TSR_BINARY_DIR "/test_plugins"};
  options.only = {"toy"};
  options.host = test_options();
  const Registry registry = Registry::discover(options);
  EXPECT_THAT(registry.open("toy:0").status().message(),
              HasSubstr("barred from plans"));
  EXPECT_TRUE(registry.open("toy:raw").ok()) << "another device";
  if (kept.empty()) {
    unsetenv("XDG_STATE_HOME");
  } else {
    setenv("XDG_STATE_HOME", kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace tessera
