// SPDX-License-Identifier: Apache-2.0
//
// The builders are held against the SDK's readers, which are what plugins use.

#include "framework/host/device/record_builder.hpp"

#include <gtest/gtest.h>

#include "tessera/record.hpp"

namespace tessera {
namespace {

tsr_tensor make_tensor(uint32_t rows, uint32_t cols) {
  tsr_tensor tensor{};
  tensor.dtype = TSR_F32;
  tensor.rank = 2;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {rows, TSR_DIM_TOKENS};
  tensor.dims[1] = {cols, TSR_DIM_FIXED};
  return tensor;
}

TEST(ProgramBuilder, WritesWhatAPluginReads) {
  ProgramBuilder builder;
  builder.set_limits(8, 2, 3, 4);
  builder.set_phases(TSR_DECODE);
  EXPECT_EQ(builder.add_tensor(make_tensor(8, 16)), 0u);
  EXPECT_EQ(builder.add_tensor(make_tensor(8, 5)), 1u);
  EXPECT_EQ(builder.add_weight(77), 0u);
  EXPECT_EQ(builder.add_kv_pool(88), 0u);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.y = 1;
  builder.add_op(linear);
  tsr_op_attention attention{};  // not a multiple of 8 bytes
  attention.op.kind = TSR_OP_ATTENTION;
  attention.thresholds = 12345;
  builder.add_op(attention);
  builder.add_op(linear);
  builder.bind(1, 99, 64);

  const std::vector<std::byte> record = builder.build();
  const sdk::ProgramView view(
      reinterpret_cast<const tsr_program_desc*>(record.data()));
  EXPECT_EQ(view.desc().record_bytes, record.size());
  EXPECT_EQ(view.desc().max_tokens, 8u);
  EXPECT_EQ(view.desc().max_seqs, 2u);
  EXPECT_EQ(view.desc().max_outputs, 3u);
  EXPECT_EQ(view.desc().max_blocks_per_seq, 4u);
  EXPECT_EQ(view.desc().phases, uint32_t{TSR_DECODE});
  ASSERT_EQ(view.tensors().size(), 2u);
  EXPECT_EQ(view.tensors()[1].dims[1].max, 5u);
  ASSERT_EQ(view.ops().size(), 3u);
  EXPECT_EQ(view.ops()[0].as<tsr_op_linear>().y, 1u);
  EXPECT_EQ(view.ops()[1].as<tsr_op_attention>().thresholds, 12345u);
  EXPECT_EQ(view.ops()[2].kind(), uint32_t{TSR_OP_LINEAR});
  EXPECT_EQ(view.weights(), std::vector<uint64_t>{77});
  EXPECT_EQ(view.kv_pools(), std::vector<uint64_t>{88});
  ASSERT_EQ(view.bindings().size(), 1u);
  EXPECT_EQ(view.bindings()[0].buffer, 99u);
}

TEST(ProgramBuilder, AnEmptyProgramIsARecord) {
  const std::vector<std::byte> record = ProgramBuilder().build();
  const sdk::ProgramView view(
      reinterpret_cast<const tsr_program_desc*>(record.data()));
  EXPECT_TRUE(view.ops().empty());
}

TEST(SubmissionBuilder, KeepsArraysApartAsTheyGrow) {
  SubmissionBuilder builder;
  builder.set_program(5);
  builder.set_flags(TSR_SUBMIT_PROFILE);
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(builder.add_signal({i, 10 + i}), i);
    EXPECT_EQ(builder.add_wait({i, 20 + i}), i);
    EXPECT_EQ(
        builder.add_binding({static_cast<uint32_t>(i), 0, 30 + i, 40 + i}), i);
  }
  const sdk::SubmissionView view(&builder.record());
  EXPECT_EQ(view.value().program, 5u);
  EXPECT_EQ(view.value().kind, uint32_t{TSR_SUBMIT_PROGRAM});
  ASSERT_EQ(view.waits().size(), 5u);
  ASSERT_EQ(view.signals().size(), 5u);
  ASSERT_EQ(view.bindings().size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(view.signals()[i].value, 10u + i);
    EXPECT_EQ(view.waits()[i].value, 20u + i);
    EXPECT_EQ(view.bindings()[i].offset, 40u + i);
  }
}

TEST(SubmissionBuilder, IsPatchedInPlace) {
  SubmissionBuilder builder(TSR_SUBMIT_KV_COPY);
  builder.add_signal({1, 1});
  builder.add_block({2, 3});
  const tsr_submission* before = &builder.record();
  builder.signal(0).value = 9;
  builder.block(0).dst = 7;
  builder.record().num_tokens = 4;
  EXPECT_EQ(before, &builder.record());
  const sdk::SubmissionView view(before);
  EXPECT_EQ(view.signals()[0].value, 9u);
  EXPECT_EQ(view.blocks()[0].dst, 7u);
  EXPECT_EQ(view.value().num_tokens, 4u);
}

}  // namespace
}  // namespace tessera
