// SPDX-License-Identifier: Apache-2.0
//
// The framework's host and plugins of other minor versions than its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"
#include "framework/host/loading/negotiate.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "tessera/capability.hpp"
#include "tests/abi/test_host.hpp"

namespace tessera {
namespace {

constexpr uint32_t kThisMinor = TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR;

class NewerPlugin : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const auto loaded = GetParam()
                            ? Plugin::load_isolated(PROBE_NEXT_MANIFEST, {})
                            : Plugin::load(PROBE_NEXT_MANIFEST, {});
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    plugin_ = *loaded;
  }
  std::shared_ptr<Plugin> plugin_;
};

TEST_P(NewerPlugin, SpeaksTheHostsVersion) {
  EXPECT_EQ(plugin_->abi_version(), kThisMinor);
}

// Rows with values from later are there for no one, and reported.
TEST_P(NewerPlugin, OffersTheKernelsThatTheHostKnows) {
  const auto device = Device::open(plugin_, 0);
  ASSERT_TRUE(device.ok()) << device.status().message();
  std::vector<uint32_t> known;
  for (const tsr_kernel_desc& row : (*device)->kernels()) {
    known.push_back(row.op);
  }
  EXPECT_EQ(known, (std::vector<uint32_t>{TSR_OP_ADD, TSR_OP_LINEAR}));
  ASSERT_EQ((*device)->skipped_kernels().size(), 1u);
  EXPECT_THAT(skipped_kernel_text((*device)->skipped_kernels()[0]),
              testing::HasSubstr(": op "));
}

TEST_P(NewerPlugin, RunsAProgram) {
  const auto opened = Device::open(plugin_, 0);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const auto& device = *opened;
  ProgramBuilder builder;
  tsr_tensor tensor{};
  tensor.dtype = TSR_F32;
  tensor.rank = 1;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {4, TSR_DIM_FIXED};
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = add.b = builder.add_tensor(tensor);
  add.y = builder.add_tensor(tensor);
  builder.add_op(add);
  auto buffer = device->create_buffer(64, 0);
  ASSERT_TRUE(buffer.ok()) << buffer.status().message();
  builder.bind(0, buffer->id(), 0);
  builder.bind(1, buffer->id(), 16);
  const auto program = device->create_program(builder.build());
  ASSERT_TRUE(program.ok()) << program.status().message();
  const auto memory = buffer->map();
  ASSERT_TRUE(memory.ok());
  auto* floats = static_cast<float*>(*memory);
  for (int i = 0; i < 4; ++i) floats[i] = static_cast<float>(i);

  auto queue = device->create_queue();
  ASSERT_TRUE(queue.ok());
  Timeline timeline;
  const auto id = timeline.import_into(device);
  ASSERT_TRUE(id.ok());
  SubmissionBuilder step;
  step.set_program(program->id());
  step.add_signal({*id, 1});
  const Status submitted = queue->submit(step.record());
  ASSERT_TRUE(submitted.ok()) << submitted.message();
  ASSERT_TRUE(timeline.wait(1).ok());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(floats[4 + i], 2.0F * floats[i]);
}

INSTANTIATE_TEST_SUITE_P(Places, NewerPlugin, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& param) {
                           return param.param ? "InAChild" : "InProcess";
                         });

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
