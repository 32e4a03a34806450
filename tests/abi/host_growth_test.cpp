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
#include "tests/abi/probe_session.hpp"
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

// y = add(linear(x), x), z = add(y, y): the plugin has one kernel for the first
// two ops.
TEST_P(NewerPlugin, SaysWhichOpsAKernelCovers) {
  const auto opened = Device::open(plugin_, 0);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const float rows[] = {1, 2, 3, 4};
  const abi_test::F32Weight desc(2, 2, rows);
  const auto weight = (*opened)->load_weight(desc.desc);
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  ProgramBuilder builder;
  tsr_tensor tensor{};
  tensor.dtype = TSR_F32;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {3, TSR_DIM_FIXED};
  tensor.dims[1] = {2, TSR_DIM_FIXED};
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.x = builder.add_tensor(tensor);
  tensor.flags = TSR_TENSOR_TRANSIENT;
  linear.y = builder.add_tensor(tensor);
  tensor.flags = 0;
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  linear.weight = builder.add_weight(weight->id());
  builder.add_op(linear);
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = linear.y;
  add.b = linear.x;
  add.y = builder.add_tensor(tensor);
  builder.add_op(add);
  add.a = add.b = add.y;
  add.y = builder.add_tensor(tensor);
  builder.add_op(add);
  const auto program = (*opened)->create_program(builder.build());
  ASSERT_TRUE(program.ok()) << program.status().message();
  const auto segments = program->segments();
  ASSERT_TRUE(segments.ok()) << segments.status().message();
  ASSERT_EQ(segments->size(), 2u);
  EXPECT_EQ((*segments)[0].first_op, 0u);
  EXPECT_EQ((*segments)[0].num_ops, 2u);
  EXPECT_STREQ((*segments)[0].kernel, "linear_f32_f32_add__scalar");
  EXPECT_EQ((*segments)[1].first_op, 2u);
  EXPECT_EQ((*segments)[1].num_ops, 1u);
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
