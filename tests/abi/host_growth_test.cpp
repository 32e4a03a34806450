// SPDX-License-Identifier: Apache-2.0
//
// The framework's host and plugins of other minor versions than its own.  Built
// with the headers of this version, against a plugin of the next, and with
// those of the next, against plugins of this one: PLUGIN_MANIFEST names it,
// PLUGIN_MINOR is its version, and FROZEN_MANIFEST one built with headers as
// released.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "tessera/capability.hpp"
#include "tests/abi/probe_session.hpp"

namespace tessera {
namespace {

constexpr uint32_t kCommonMinor =
    TSR_ABI_MAJOR << 16 | std::min<uint32_t>(TSR_ABI_MINOR, PLUGIN_MINOR);
// Rows of a newer plugin that this host cannot know.
constexpr size_t kUnknownRows = PLUGIN_MINOR > TSR_ABI_MINOR ? 1 : 0;

// Parameter: in a child process.
class OtherVersion : public testing::TestWithParam<bool> {
 protected:
  static std::shared_ptr<Plugin> load(const char* manifest) {
    const auto loaded = GetParam() ? Plugin::load_isolated(manifest, {})
                                   : Plugin::load(manifest, {});
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    return loaded.ok() ? *loaded : nullptr;
  }
  void SetUp() override {
    plugin_ = load(PLUGIN_MANIFEST);
    ASSERT_NE(plugin_, nullptr);
  }
  std::shared_ptr<Plugin> plugin_;
};

TEST_P(OtherVersion, SpeaksTheLowerOne) {
  EXPECT_EQ(plugin_->abi_version(), kCommonMinor);
}

// Rows with values from later are there for no one, and reported.
TEST_P(OtherVersion, OffersTheKernelsThatTheHostKnows) {
  const auto device = Device::open(plugin_, 0);
  ASSERT_TRUE(device.ok()) << device.status().message();
  std::vector<uint32_t> known;
  for (const tsr_kernel_desc& row : (*device)->kernels()) {
    known.push_back(row.op);
  }
  EXPECT_EQ(known, (std::vector<uint32_t>{TSR_OP_ADD, TSR_OP_LINEAR}));
  ASSERT_EQ((*device)->skipped_kernels().size(), kUnknownRows);
  for (const tsr_kernel_desc& row : (*device)->skipped_kernels()) {
    EXPECT_THAT(skipped_kernel_text(row), testing::HasSubstr(": op "));
  }
}

// y = add(x, x) of four floats, from program to timeline.
void run_add(const std::shared_ptr<Plugin>& plugin) {
  const auto opened = Device::open(plugin, 0);
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

TEST_P(OtherVersion, RunsAProgram) { run_add(plugin_); }

TEST_P(OtherVersion, RunsAPluginOfReleasedHeaders) {
  const std::shared_ptr<Plugin> frozen = load(FROZEN_MANIFEST);
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->abi_version(), TSR_ABI_MAJOR << 16 | 0U);
  run_add(frozen);
}

// y = add(linear(x), x), z = add(y, y): the plugin has one kernel for the first
// two ops.
TEST_P(OtherVersion, SaysWhichOpsAKernelCovers) {
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

INSTANTIATE_TEST_SUITE_P(Places, OtherVersion, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& param) {
                           return param.param ? "InAChild" : "InProcess";
                         });

}  // namespace
}  // namespace tessera
