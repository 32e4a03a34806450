// SPDX-License-Identifier: Apache-2.0
//
// The same for attention, the small ops, and programs of several ops; see
// capability_linear_test.cpp.

#include "tests/abi/capability_fixture.hpp"

namespace tessera {
namespace {

using abi_test::array_of;
using abi_test::Capability;
using abi_test::make_extension;
using abi_test::make_row;

// attention of 4 query heads over 2 KV heads of 64, blocks of 16.
class AttentionCapability : public Capability {
 protected:
  void SetUp() override {
    tsr_kv_desc pool{};
    pool.struct_size = sizeof(pool);
    pool.format = TSR_KV_F16;
    pool.num_kv_heads = 2;
    pool.head_dim = 64;
    pool.block_size = 16;
    pool.num_blocks = 32;
    pools_ = {pool};
    tsr_kernel_desc row = make_row(TSR_OP_ATTENTION);
    row.kv_formats = 1U << TSR_KV_F16;
    row.masks = 1U << TSR_MASK_CAUSAL;
    row.head_dim = {64, 128, 64};
    row.gqa_ratio = {1, 2, 0};
    row.block_size = {16, 16, 0};
    rows_ = {row};
    op_.q = builder_.tokens(TSR_BF16, {4, 64});
    op_.out = builder_.tokens(TSR_BF16, {4, 64});
    op_.q_starts = builder_.tensor(TSR_I32, {{3, TSR_DIM_SEQS_PLUS_ONE}});
    op_.seq_lens = builder_.tensor(TSR_I32, {{2, TSR_DIM_SEQS}});
    op_.block_table =
        builder_.tensor(TSR_I32, {{2, TSR_DIM_SEQS}, {4, TSR_DIM_FIXED}});
    op_.num_q_heads = 4;
    op_.q_inv = op_.q_scale = op_.kv_scale = op_.thresholds = TSR_NONE;
  }
  void set_heads(uint32_t num_q_heads) {
    op_.num_q_heads = num_q_heads;
    op_.q = builder_.tokens(TSR_BF16, {num_q_heads, pools_[0].head_dim});
    op_.out = builder_.tokens(TSR_BF16, {num_q_heads, pools_[0].head_dim});
  }
  void expect_op_refusal(uint32_t reason, const std::string& field,
                         int64_t value, int64_t nearest) {
    builder_.op(TSR_OP_ATTENTION, op_);
    expect_refusal(reason, field, value, nearest);
  }

  tsr_op_attention op_{};
};

TEST_F(AttentionCapability, AcceptsWhatARowCovers) {
  builder_.op(TSR_OP_ATTENTION, op_);
  EXPECT_TRUE(check().empty());
}

TEST_F(AttentionCapability, NamesTheKvFormat) {
  pools_[0].format = TSR_KV_BF16;
  expect_op_refusal(TSR_REFUSED_FORMAT, "kv.format", TSR_KV_BF16, TSR_KV_F16);
}

TEST_F(AttentionCapability, NamesTheNearestHeadDim) {
  pools_[0].head_dim = 96;
  set_heads(4);
  expect_op_refusal(TSR_REFUSED_SHAPE, "head_dim", 96, 64);
}

TEST_F(AttentionCapability, NamesTheNearestGqaRatio) {
  set_heads(8);
  expect_op_refusal(TSR_REFUSED_SHAPE, "gqa_ratio", 4, 2);
}

TEST_F(AttentionCapability, NamesTheNearestBlockSize) {
  pools_[0].block_size = 32;
  expect_op_refusal(TSR_REFUSED_SHAPE, "block_size", 32, 16);
}

TEST_F(AttentionCapability, NamesTheMask) {
  op_.mask = TSR_MASK_SLIDING;
  op_.window = 4;
  expect_op_refusal(TSR_REFUSED_FEATURE, "mask", TSR_MASK_SLIDING,
                    TSR_MASK_CAUSAL);
}

TEST_F(AttentionCapability, HeadsThatDoNotDivideAreInvalid) {
  set_heads(3);
  builder_.op(TSR_OP_ATTENTION, op_);
  expect_invalid("3 query heads over 2 KV heads");
}

TEST_F(AttentionCapability, ABlockTableTooSmallForTheProgramIsInvalid) {
  op_.block_table =
      builder_.tensor(TSR_I32, {{2, TSR_DIM_SEQS}, {3, TSR_DIM_FIXED}});
  builder_.op(TSR_OP_ATTENTION, op_);
  expect_invalid("block_table has 6 elements of 8");
}

TEST_F(AttentionCapability, Fa3NeedsItsThresholds) {
  pools_[0].format = TSR_KV_I8_HEAD;
  op_.kv_scale = builder_.fixed(TSR_F32, {2, 2});
  op_.q_inv = op_.q_scale = builder_.fixed(TSR_F32, {4});
  builder_.op(TSR_OP_ATTENTION, op_);
  expect_invalid("thresholds is tensor");
}

TEST_F(AttentionCapability, KvAppendNamesTheRopeStyle) {
  rows_[0].op = TSR_OP_KV_APPEND;
  rows_[0].rope_styles = 1U << TSR_ROPE_NONE | 1U << TSR_ROPE_HALF;
  tsr_op_kv_append op{};
  op.k = op.v = builder_.tokens(TSR_F32, {2, 64});
  op.slot_mapping = op.positions = builder_.tokens(TSR_I32, {});
  op.table = builder_.fixed(TSR_F32, {32, 64});
  op.rotary_dim = 64;
  op.style = TSR_ROPE_INTERLEAVED;
  op.kv_inv = TSR_NONE;
  builder_.op(TSR_OP_KV_APPEND, op);
  expect_refusal(TSR_REFUSED_FEATURE, "rope_style", TSR_ROPE_INTERLEAVED,
                 TSR_ROPE_HALF);
}

struct SmallOp {
  uint32_t kind;
  const char* first_input;
};

class SmallOpCapability : public Capability,
                          public testing::WithParamInterface<SmallOp> {
 protected:
  void add_op() {
    const uint32_t kind = GetParam().kind;
    const uint32_t x = builder_.tokens(TSR_BF16, {2, 64});
    const uint32_t y = builder_.tokens(TSR_BF16, {2, 64});
    tsr_kernel_desc row = make_row(kind);
    row.activations = 1U << TSR_EPILOGUE_GELU_ERF;
    row.rope_styles = 1U << TSR_ROPE_HALF;
    rows_ = {row};
    switch (kind) {
      case TSR_OP_RMS_NORM:
      case TSR_OP_LAYER_NORM:
        return builder_.op(
            kind,
            tsr_op_norm{
                {}, x, y, builder_.fixed(TSR_F32, {64}), TSR_NONE, 1e-5F, 0});
      case TSR_OP_ROPE:
        return builder_.op(kind, tsr_op_rope{{},
                                             x,
                                             y,
                                             builder_.tokens(TSR_I32, {}),
                                             builder_.fixed(TSR_F32, {32, 64}),
                                             TSR_ROPE_HALF,
                                             64});
      case TSR_OP_SOFTMAX:
        return builder_.op(kind, tsr_op_softmax{{}, x, y, 1, 0});
      case TSR_OP_EMBEDDING:
      case TSR_OP_GATHER_ROWS:
        return builder_.op(kind,
                           tsr_op_gather{{},
                                         builder_.fixed(TSR_BF16, {100, 64}),
                                         builder_.tokens(TSR_I32, {}),
                                         builder_.tokens(TSR_BF16, {64}),
                                         0});
      case TSR_OP_GELU:
        return builder_.op(
            kind,
            tsr_op_elementwise{{}, x, TSR_NONE, y, TSR_EPILOGUE_GELU_ERF});
      default:
        return builder_.op(kind, tsr_op_elementwise{{}, x, x, y, 0});
    }
  }
};

TEST_P(SmallOpCapability, AcceptsWhatARowCovers) {
  add_op();
  const auto refusals = check();
  EXPECT_TRUE(refusals.empty()) << refusals[0].message;
}

TEST_P(SmallOpCapability, NamesTheTypeOfItsInput) {
  add_op();
  rows_[0].x_dtypes = 1U << TSR_F32;
  expect_refusal(TSR_REFUSED_DTYPE,
                 std::string(GetParam().first_input) + ".dtype", TSR_BF16,
                 TSR_F32);
}

TEST_P(SmallOpCapability, NamesTheNearestWidth) {
  add_op();
  rows_[0].N = {0, 48, 0};
  expect_refusal(TSR_REFUSED_SHAPE, "N", 64, 48);
}

INSTANTIATE_TEST_SUITE_P(
    Ops, SmallOpCapability,
    testing::Values(SmallOp{TSR_OP_RMS_NORM, "x"},
                    SmallOp{TSR_OP_LAYER_NORM, "x"}, SmallOp{TSR_OP_ROPE, "x"},
                    SmallOp{TSR_OP_ADD, "a"}, SmallOp{TSR_OP_SILU_MUL, "a"},
                    SmallOp{TSR_OP_GELU, "a"}, SmallOp{TSR_OP_SOFTMAX, "x"},
                    SmallOp{TSR_OP_EMBEDDING, "table"},
                    SmallOp{TSR_OP_GATHER_ROWS, "table"}),
    [](const testing::TestParamInfo<SmallOp>& param) {
      return sdk::names::op(param.param.kind);
    });

TEST(UnknownValue, NamesWhatALaterVersionBrought) {
  tsr_kernel_desc row = make_row(TSR_OP_ADD);
  row.error_class = TSR_ERROR_FLOAT;
  EXPECT_EQ(sdk::unknown_value(row), "");
  row.x_dtypes |= 1U << 31;  // a type that nobody here asks for
  EXPECT_EQ(sdk::unknown_value(row), "");
  row.weight_format = 99;
  EXPECT_EQ(sdk::unknown_value(row), "weight_format 99");
  row.determinism = 9;
  EXPECT_EQ(sdk::unknown_value(row), "determinism 9");
  row.op = 13;
  EXPECT_EQ(sdk::unknown_value(row), "op 13");
  row = make_row(TSR_OP_EXTENSION);
  EXPECT_EQ(sdk::unknown_value(row), "error_class 0");
}

TEST_F(Capability, RefusesAnOpKindFromLater) {
  rows_ = {make_row(TSR_OP_ADD)};
  builder_.op(99, tsr_op_softmax{});
  expect_refusal(TSR_REFUSED_OP, "op", 99, 99);
}

TEST_F(Capability, FindsAnExtensionOpByItsName) {
  const std::vector<const char*> known{"dev.tessera.grouped_linear"};
  rows_ = {make_row(TSR_OP_EXTENSION)};
  rows_[0].extensions = array_of(known);
  struct Head {
    tsr_op op;
  };
  builder_.op(TSR_OP_EXTENSION, Head{},
              {make_extension("dev.tessera.grouped_linear", 0)});
  EXPECT_TRUE(check().empty());
  builder_.op(TSR_OP_EXTENSION, Head{},
              {make_extension("dev.tessera.conv2d", 0)});
  const auto refusals = check();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].op, 1u);
  EXPECT_EQ(refusals[0].reason, static_cast<uint32_t>(TSR_REFUSED_EXTENSION));
}

TEST_F(Capability, ReportsEveryOpThatCannotRun) {
  rows_ = {make_row(TSR_OP_ADD)};
  const uint32_t x = builder_.tokens(TSR_F32, {64});
  builder_.op(TSR_OP_SOFTMAX, tsr_op_softmax{{}, x, x, 1, 0});
  builder_.op(TSR_OP_ADD, tsr_op_elementwise{{}, x, x, x, 0});
  builder_.op(TSR_OP_SOFTMAX, tsr_op_softmax{{}, x, x, 1, 0});
  const auto refusals = check();
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_EQ(refusals[0].op, 0u);
  EXPECT_EQ(refusals[1].op, 2u);
}

}  // namespace
}  // namespace tessera
