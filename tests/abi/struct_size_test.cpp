// SPDX-License-Identifier: Apache-2.0
//
// Every entry of the table with one field less, exact, and with 64 bytes of
// junk behind: the plugin writes nothing past struct_size, reads nothing past
// it, and takes what is missing as zero.

#include <gtest/gtest.h>

#include "tessera/names.hpp"
#include "tests/abi/guarded.hpp"
#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

class StructSize : public testing::TestWithParam<Age> {
 protected:
  ProbeSession session_{PROBE_PLUGIN};
  const tsr_api& api() { return session_.api(); }
  tsr_device* device() { return session_.device; }

  template <typename Struct>
  Guarded<Struct> make(size_t last) {
    return Guarded<Struct>(GetParam(), last);
  }
  void expect_ok(tsr_status status) {
    EXPECT_EQ(status, TSR_OK) << session_.error.message;
  }

  // A program of `kind`: y = a + b over [TOKENS, 4].
  ProgramBuilder add_program(uint32_t kind = TSR_OP_ADD) {
    ProgramBuilder builder;
    builder.desc.id = kProgram;
    const uint32_t a = builder.tokens(TSR_F32, {4});
    const uint32_t y = builder.tokens(TSR_F32, {4});
    builder.op(kind, tsr_op_elementwise{{}, a, a, y, 0});
    return builder;
  }
  // Copies a record so that its head is as old as the parameter says.
  template <typename Head>
  std::vector<uint64_t> age_record(std::vector<uint64_t> record, size_t last) {
    const Age& age = GetParam();
    if (!age.last_field) {
      const auto bytes = static_cast<uint32_t>(last);
      auto* place = reinterpret_cast<unsigned char*>(record.data());
      std::memcpy(place, &bytes, sizeof(bytes));
      std::memset(place + last, 0xA5, sizeof(Head) - last);
    }
    return record;
  }
};

TEST_P(StructSize, DeviceInfo) {
  auto info = make<tsr_device_info>(offsetof(tsr_device_info, next));
  EXPECT_EQ(api().device_info(0, nullptr, info.get()), TSR_OK);
  EXPECT_STREQ(info->name, "probe device");
  EXPECT_EQ(info->options.count, 1u);
  info.expect_intact("device_info");
}

TEST_P(StructSize, DeviceInfoOfOneWord) {
  Guarded<tsr_device_info> info({"", 0, false}, sizeof(uint32_t));
  EXPECT_EQ(api().device_info(0, nullptr, info.get()), TSR_OK);
  info.expect_intact("device_info");
}

TEST_P(StructSize, Error) {
  auto error = make<tsr_error>(offsetof(tsr_error, message));
  EXPECT_EQ(api().device_info(9, error.get(), nullptr), TSR_INVALID_ARGUMENT);
  if (GetParam().last_field) {
    EXPECT_STREQ(error->message, "probe: device 9 of 1");
  }
  error.expect_intact("device_info");
}

TEST_P(StructSize, OptionValues) {
  auto option = make<tsr_option_value>(offsetof(tsr_option_value, value));
  tsr_option_value value{};
  value.key = "trace";
  value.value = "1";
  option.assign(value);
  const tsr_array options{option.get(), 1, option.known_bytes()};
  tsr_device* opened = nullptr;
  const tsr_status status =
      api().device_open(0, &options, &session_.error, &opened);
  if (GetParam().last_field) {
    expect_ok(status);
    api().device_close(opened);
  } else {
    EXPECT_EQ(status, TSR_INVALID_ARGUMENT);  // without value: not 0 or 1
  }
  option.expect_intact("device_open");
}

TEST_P(StructSize, BufferDesc) {
  auto desc = make<tsr_buffer_desc>(offsetof(tsr_buffer_desc, next));
  desc->id = 77;
  desc->bytes = 128;
  expect_ok(api().buffer_create(device(), desc.get(), &session_.error));
  desc->id = 78;
  expect_ok(api().buffer_import(device(), desc.get(), TSR_HANDLE_HOST_POINTER,
                                reinterpret_cast<uint64_t>(session_.floats()),
                                &session_.error));
  desc.expect_intact("buffer_create");
  api().buffer_destroy(device(), 78);
  api().buffer_destroy(device(), 77);
}

TEST_P(StructSize, WeightDescAndPackedInfo) {
  const F32Weight weight(4, 8, nullptr);
  auto desc = make<tsr_weight_desc>(offsetof(tsr_weight_desc, next));
  desc.assign(weight.desc);
  auto info = make<tsr_packed_info>(offsetof(tsr_packed_info, keeps_raw));
  expect_ok(
      api().weight_query(device(), desc.get(), &session_.error, info.get()));
  EXPECT_EQ(info->bytes, 4u * 8 * sizeof(float));
  EXPECT_EQ(info->n_multiple, 1u);
  desc.expect_intact("weight_query");
  info.expect_intact("weight_query");
}

TEST_P(StructSize, PackingSliceAndPlanes) {
  const float codes[] = {1, 2, 3, 4};
  const F32Weight weight(2, 2, codes);
  // Every plane of the array is as old as the rest; its stride says so.
  Guarded<tsr_plane> plane(GetParam(), sizeof(tsr_plane));
  plane.assign(weight.plane);
  auto desc = make<tsr_weight_desc>(offsetof(tsr_weight_desc, next));
  desc.assign(weight.desc);
  desc->planes = {plane.get(), 1, plane.known_bytes()};
  tsr_packing* packing = nullptr;
  expect_ok(api().packing_begin(device(), kWeight, desc.get(), kBuffer, 0,
                                &session_.error, &packing));
  expect_ok(api().packing_slice(packing, 0, 2, desc.get(), &session_.error));
  expect_ok(api().packing_end(packing, 1, &session_.error));
  EXPECT_EQ(session_.floats()[1], 3);  // transposed
  desc.expect_intact("packing_slice");
  plane.expect_intact("packing_slice");
  api().weight_destroy(device(), kWeight);
  expect_ok(api().weight_create(device(), kWeight, desc.get(), kBuffer, 0,
                                &session_.error));
  api().weight_destroy(device(), kWeight);
}

TEST_P(StructSize, KvDescAndKvInfo) {
  auto desc = make<tsr_kv_desc>(offsetof(tsr_kv_desc, next));
  desc->format = TSR_KV_F32;
  desc->num_kv_heads = 1;
  desc->head_dim = 4;
  desc->block_size = 2;
  desc->num_blocks = 3;
  auto info = make<tsr_kv_info>(offsetof(tsr_kv_info, reserved));
  expect_ok(api().kv_query(device(), desc.get(), &session_.error, info.get()));
  EXPECT_EQ(info->block_bytes, 2u * 2 * 4 * sizeof(float));
  info.expect_intact("kv_query");
  expect_ok(api().kv_create(device(), kPool, desc.get(), kBuffer, 0,
                            &session_.error));
  desc.expect_intact("kv_create");
  api().kv_destroy(device(), kPool);
}

TEST_P(StructSize, ProgramDesc) {
  auto builder = add_program();
  auto record = age_record<tsr_program_desc>(
      builder.build(), offsetof(tsr_program_desc, extensions));
  auto info =
      make<tsr_program_info>(offsetof(tsr_program_info, workspace_bytes));
  expect_ok(api().program_create(device(), as_program(record), &session_.error,
                                 info.get()));
  EXPECT_EQ(info->num_segments, 1u);
  info.expect_intact("program_create");
  auto segment = make<tsr_segment>(offsetof(tsr_segment, kernel));
  expect_ok(api().program_segment(device(), kProgram, 0, &session_.error,
                                  segment.get()));
  EXPECT_EQ(segment->num_ops, 1u);
  segment.expect_intact("program_segment");
  api().program_destroy(device(), kProgram);
}

TEST_P(StructSize, StepShapeAndEstimate) {
  auto builder = add_program();
  const auto record = builder.build();
  auto step = make<tsr_step_shape>(offsetof(tsr_step_shape, phase));
  step->num_tokens = 3;
  if (GetParam().last_field) step->phase = TSR_DECODE;
  auto estimate = make<tsr_estimate>(offsetof(tsr_estimate, workspace_bytes));
  expect_ok(api().estimate(device(), as_program(record), nullptr, nullptr,
                           step.get(), &session_.error, estimate.get()));
  EXPECT_EQ(estimate->mean_ns, 1003u);
  if (GetParam().last_field) {
    EXPECT_EQ(estimate->workspace_bytes, 4096u + TSR_DECODE);
  }
  step.expect_intact("estimate");
  estimate.expect_intact("estimate");
}

TEST_P(StructSize, StepShapeWithoutPhaseIsPhaseZero) {
  auto builder = add_program();
  const auto record = builder.build();
  auto step = make<tsr_step_shape>(offsetof(tsr_step_shape, phase));
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  expect_ok(api().estimate(device(), as_program(record), nullptr, nullptr,
                           step.get(), &session_.error, &estimate));
  EXPECT_EQ(estimate.workspace_bytes, 4096u);
}

TEST_P(StructSize, WeightsAndPoolsOfCheck) {
  ProgramBuilder builder;
  builder.weights = {kWeight};
  tsr_op_linear linear{};
  linear.x = builder.tokens(TSR_F32, {8});
  linear.y = builder.tokens(TSR_F32, {4});
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  builder.op(TSR_OP_LINEAR, linear);
  const auto record = builder.build();
  const F32Weight weight(4, 8, nullptr);
  auto desc = make<tsr_weight_desc>(offsetof(tsr_weight_desc, next));
  desc.assign(weight.desc);
  const tsr_array weights{desc.get(), 1, desc.known_bytes()};
  uint32_t count = 99;
  expect_ok(api().check(device(), as_program(record), &weights, nullptr,
                        &session_.error, nullptr, 0, 0, &count));
  EXPECT_EQ(count, 0u);
  desc.expect_intact("check");
}

// Three refusals in room for two, each as large as the host's struct.
TEST_P(StructSize, Refusals) {
  auto builder = add_program(TSR_OP_SILU_MUL);
  builder.op(TSR_OP_SILU_MUL, tsr_op_elementwise{{}, 0, 0, 1, 0});
  builder.op(TSR_OP_SILU_MUL, tsr_op_elementwise{{}, 0, 0, 1, 0});
  const auto record = builder.build();
  const uint32_t stride =
      GetParam().last_field
          ? static_cast<uint32_t>(sizeof(tsr_refusal)) +
                static_cast<uint32_t>(GetParam().extra)
          : static_cast<uint32_t>(offsetof(tsr_refusal, message));
  constexpr unsigned char kJunk = 0xA5;
  std::vector<unsigned char> room(3 * stride, kJunk);
  uint32_t count = 0;
  EXPECT_EQ(api().check(
                device(), as_program(record), nullptr, nullptr, &session_.error,
                reinterpret_cast<tsr_refusal*>(room.data()), 2, stride, &count),
            TSR_UNIMPLEMENTED);
  EXPECT_EQ(count, 3u);
  for (uint32_t i = 0; i < 2; ++i) {
    uint32_t words[2];  // struct_size, op
    std::memcpy(words, room.data() + i * stride, sizeof(words));
    EXPECT_EQ(words[0], std::min<uint32_t>(stride, sizeof(tsr_refusal)));
    EXPECT_EQ(words[1], i);
    for (uint32_t at = sizeof(tsr_refusal); at < stride; ++at) {
      ASSERT_EQ(room[i * stride + at], kJunk) << "byte " << at;
    }
  }
  for (uint32_t at = 2 * stride; at < room.size(); ++at) {
    ASSERT_EQ(room[at], kJunk) << "refusal 2 was written";
  }
}

TEST_P(StructSize, SubmissionAndKernelRecords) {
  auto builder = add_program();
  const auto program = builder.build();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  expect_ok(api().program_create(device(), as_program(program), &session_.error,
                                 &info));
  SubmissionBuilder step;
  step.value.kind = TSR_SUBMIT_PROGRAM;
  step.value.flags = TSR_SUBMIT_PROFILE;
  step.value.program = kProgram;
  step.value.num_tokens = 1;
  step.bindings = {{0, 0, kBuffer, 0}, {1, 0, kBuffer, 64}};
  step.signals = {{kTimeline, 1}};
  const auto record = age_record<tsr_submission>(
      step.build(), offsetof(tsr_submission, extensions));
  expect_ok(api().queue_submit(session_.queue, as_submission(record),
                               &session_.error));
  EXPECT_EQ(session_.timeline.value, 1u);

  auto kernel = make<tsr_kernel_record>(offsetof(tsr_kernel_record, counter));
  uint32_t count = 0;
  expect_ok(api().profile_read(device(), &session_.error, kernel.get(), 1,
                               kernel.known_bytes(), &count));
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(kernel->program, kProgram);
  EXPECT_EQ(kernel->struct_size,
            std::min<uint32_t>(kernel.known_bytes(), sizeof(*kernel.get())));
  kernel->struct_size = kernel.known_bytes();
  kernel.expect_intact("profile_read");
  api().program_destroy(device(), kProgram);
}

INSTANTIATE_TEST_SUITE_P(Ages, StructSize, testing::ValuesIn(kAges),
                         [](const testing::TestParamInfo<Age>& param) {
                           return std::string(param.param.name);
                         });

// A 1.1 host's tensors are longer; a 1.0 plugin reads its own part of each.
TEST(Records, TensorsAndOpsOfOtherSizesAreReadByTheirStride) {
  ProbeSession session(PROBE_PLUGIN);
  struct LongTensor {
    tsr_tensor tensor;
    uint64_t junk;
  };
  struct LongAdd {
    tsr_op_elementwise add;
    uint64_t junk;
  };
  RecordBytes record;
  tsr_program_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.id = kProgram;
  record.append(&desc, sizeof(desc));
  std::vector<LongTensor> tensors(2);
  for (LongTensor& t : tensors) {
    t.tensor.struct_size = sizeof(LongTensor);
    t.tensor.dtype = TSR_F32;
    t.tensor.rank = 1;
    t.tensor.view_of = TSR_NONE;
    t.tensor.dims[0] = {4, TSR_DIM_FIXED};
    t.junk = UINT64_MAX;
  }
  desc.tensors = record.append_array(tensors);
  LongAdd add{{{sizeof(LongAdd), sizeof(LongAdd), TSR_OP_ADD, 0}, 0, 0, 1, 0},
              UINT64_MAX};
  desc.ops = {record.append(&add, sizeof(add)), 1, 0, sizeof(add)};
  desc.record_bytes = record.bytes();
  std::memcpy(record.data(), &desc, sizeof(desc));
  const auto words = record.take();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  EXPECT_EQ(session.api().program_create(session.device, as_program(words),
                                         &session.error, &info),
            TSR_OK)
      << session.error.message;
  EXPECT_EQ(info.num_segments, 1u);
}

}  // namespace
}  // namespace tessera::abi_test
