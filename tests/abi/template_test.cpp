// SPDX-License-Identifier: Apache-2.0
//
// The template plugin, built against the installed SDK, does what it teaches.

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

class Template : public testing::Test {
 protected:
  ProbeSession session_{TEMPLATE_PLUGIN};
  const tsr_api& api() { return session_.api(); }

  // y = (a + b) + b over [TOKENS, 2], the first sum transient, b a window of
  // the last two of four columns.
  std::vector<uint64_t> make_program() {
    ProgramBuilder builder;
    builder.desc.id = kProgram;
    const uint32_t a = builder.tokens(TSR_F32, {2});
    const uint32_t wide = builder.tokens(TSR_F32, {4});
    const uint32_t b = builder.tokens(TSR_F32, {2});
    const uint32_t sum = builder.tokens(TSR_F32, {2});
    const uint32_t y = builder.tokens(TSR_F32, {2});
    builder.tensors[b].view_of = wide;
    builder.tensors[b].row_stride = 4;
    builder.tensors[b].view_offset = 2;
    builder.tensors[sum].flags = TSR_TENSOR_TRANSIENT;
    builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, a, b, sum, 0});
    builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, sum, b, y, 0});
    builder.bindings = {{a, 0, kBuffer, 0}, {wide, 0, kBuffer, 256}};
    return builder.build();
  }
};

TEST_F(Template, HasOneHealthyDeviceAndOneKernel) {
  tsr_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().device_info(0, nullptr, &info), TSR_OK);
  EXPECT_EQ(info.health, static_cast<uint32_t>(TSR_OK));
  tsr_array kernels{};
  ASSERT_EQ(api().device_kernels(0, nullptr, &kernels), TSR_OK);
  EXPECT_EQ(kernels.count, 1u);
}

TEST_F(Template, AddsThroughViewsAndTransients) {
  const auto program = make_program();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().program_create(session_.device, as_program(program),
                                 &session_.error, &info),
            TSR_OK)
      << session_.error.message;
  EXPECT_EQ(info.num_segments, 2u);
  EXPECT_GE(info.workspace_bytes, 8u * 2 * sizeof(float));

  float* memory = session_.floats();
  const float a[] = {1, 2, 3, 4};
  const float wide[] = {-1, -1, 10, 20, -1, -1, 30, 40};
  std::memcpy(memory, a, sizeof(a));
  std::memcpy(memory + 64, wide, sizeof(wide));
  memory[128 + 4] = 99;  // a third row, which the step does not have
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.program = kProgram;
  step.value.num_tokens = 2;
  step.bindings = {{4, 0, kBuffer, 512}};
  ASSERT_EQ(session_.submit(step, 1), TSR_OK);
  const float expected[] = {21, 42, 63, 84, 99};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(memory[128 + i], expected[i]) << i;
}

TEST_F(Template, RefusesWithReasonFieldAndNearest) {
  ProgramBuilder builder;
  const uint32_t x = builder.tokens(TSR_BF16, {2});
  builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, x, x, x, 0});
  const auto program = builder.build();
  tsr_refusal refusal{};
  uint32_t count = 0;
  EXPECT_EQ(api().check(session_.device, as_program(program), nullptr, nullptr,
                        &session_.error, &refusal, 1, sizeof(refusal), &count),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(refusal.reason, static_cast<uint32_t>(TSR_REFUSED_DTYPE));
  EXPECT_STREQ(refusal.field, "a.dtype");
  EXPECT_EQ(refusal.nearest, TSR_F32);
  EXPECT_EQ(api().program_create(session_.device, as_program(program),
                                 &session_.error, nullptr),
            TSR_UNIMPLEMENTED);
}

TEST_F(Template, AStepLargerThanItsProgramFailsTheTimeline) {
  const auto program = make_program();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().program_create(session_.device, as_program(program),
                                 &session_.error, &info),
            TSR_OK);
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.program = kProgram;
  step.value.num_tokens = 9;
  EXPECT_EQ(session_.submit(step, 1), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(session_.timeline.value, UINT64_MAX);
}

TEST_F(Template, NamesTheTensorThatNobodyBound) {
  const auto program = make_program();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  ASSERT_EQ(api().program_create(session_.device, as_program(program),
                                 &session_.error, &info),
            TSR_OK);
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.program = kProgram;
  step.value.num_tokens = 1;
  EXPECT_EQ(session_.submit(step, 1), TSR_INVALID_ARGUMENT);
}

TEST_F(Template, RefusesOptionsItDoesNotHave) {
  tsr_option_value option{};
  option.struct_size = sizeof(option);
  option.key = "cores";
  option.value = "4";
  const tsr_array options{&option, 1, sizeof(option)};
  tsr_device* device = nullptr;
  EXPECT_EQ(api().device_open(0, &options, &session_.error, &device),
            TSR_INVALID_ARGUMENT);
  EXPECT_STREQ(session_.error.message, "template: no option cores");
}

TEST_F(Template, CopiesBetweenBuffers) {
  float* memory = session_.floats();
  memory[0] = 7;
  SubmissionBuilder copy;
  copy.value.kind = TSR_SUBMIT_COPY;
  copy.value.src = copy.value.dst = kBuffer;
  copy.value.dst_offset = 128;
  copy.value.bytes = 4;
  EXPECT_EQ(session_.submit(copy, 1), TSR_OK);
  EXPECT_EQ(memory[32], 7);
}

}  // namespace
}  // namespace tessera::abi_test
