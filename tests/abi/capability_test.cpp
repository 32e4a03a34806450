// SPDX-License-Identifier: Apache-2.0
//
// Each thing a row of the kernel table can say refuses with its own reason,
// field and nearest value; see tessera/capability.hpp.

#include "tessera/capability.hpp"

#include <gtest/gtest.h>

#include "tests/abi/record_builder.hpp"

namespace tessera {
namespace {

using abi_test::as_program;
using abi_test::make_extension;
using abi_test::ProgramBuilder;

constexpr uint32_t kFloats = 1U << TSR_F32 | 1U << TSR_F16 | 1U << TSR_BF16;
constexpr uint32_t kBothPhases = TSR_PREFILL | TSR_DECODE;

template <typename Element>
tsr_array array_of(const std::vector<Element>& elements) {
  return {elements.data(), static_cast<uint32_t>(elements.size()),
          sizeof(Element)};
}

tsr_kernel_desc make_row(uint32_t op) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = op;
  row.phases = kBothPhases;
  row.x_dtypes = kFloats;
  row.y_dtypes = kFloats;
  row.accumulator = TSR_F32;
  return row;
}

tsr_plane make_plane(uint32_t role, uint32_t dtype, uint32_t block_n,
                     uint32_t block_k) {
  tsr_plane plane{};
  plane.struct_size = sizeof(plane);
  plane.role = role;
  plane.dtype = dtype;
  plane.block_n = block_n;
  plane.block_k = block_k;
  return plane;
}

tsr_plane_rule make_rule(uint32_t role, uint32_t required, tsr_range block_k) {
  tsr_plane_rule rule{};
  rule.struct_size = sizeof(rule);
  rule.role = role;
  rule.dtypes = 1U << TSR_F32 | 1U << TSR_U8;
  rule.required = required;
  rule.block_n = {1, 1, 0};
  rule.block_k = block_k;
  return rule;
}

// A program of one op, its weight and pool, and a table of rows.
class Capability : public testing::Test {
 protected:
  std::vector<tsr_refusal> check() {
    record_ = builder_.build();
    const ProgramView view(as_program(record_));
    return check_against(array_of(rows_), {view, weights_, pools_});
  }
  OpFacts facts() {
    record_ = builder_.build();
    const ProgramView view(as_program(record_));
    return read_op_facts({view, weights_, pools_}, 0);
  }
  void expect_refusal(uint32_t reason, const std::string& field, int64_t value,
                      int64_t nearest) {
    const auto refusals = check();
    ASSERT_EQ(refusals.size(), 1u);
    EXPECT_EQ(refusals[0].reason, reason) << refusals[0].message;
    EXPECT_EQ(refusals[0].field, field) << refusals[0].message;
    EXPECT_EQ(refusals[0].value, value) << refusals[0].message;
    EXPECT_EQ(refusals[0].nearest, nearest) << refusals[0].message;
    EXPECT_EQ(refusals[0].op, 0u);
  }
  void expect_invalid(const std::string& message) {
    try {
      check();
      FAIL() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos)
          << error.what();
    }
  }

  ProgramBuilder builder_;
  std::vector<tsr_weight_desc> weights_;
  std::vector<tsr_kv_desc> pools_;
  std::vector<tsr_kernel_desc> rows_;
  std::vector<uint64_t> record_;
};

// linear [8, 256] x [64, 256]^T in w4a16, groups of 32.
class LinearCapability : public Capability {
 protected:
  void SetUp() override {
    planes_ = {make_plane(TSR_PLANE_CODES, TSR_U4, 0, 0),
               make_plane(TSR_PLANE_SCALE, TSR_F32, 1, 32)};
    rules_ = {make_rule(TSR_PLANE_SCALE, 1, {32, 128, 32}),
              make_rule(TSR_PLANE_ZERO_POINT, 0, {32, 128, 32})};
    tsr_weight_desc weight{};
    weight.struct_size = sizeof(weight);
    weight.format = TSR_WEIGHT_U4;
    weight.N = 64;
    weight.K = 256;
    weights_ = {weight};
    tsr_kernel_desc row = make_row(TSR_OP_LINEAR);
    row.weight_format = TSR_WEIGHT_U4;
    row.act_quants = 1U << TSR_ACT_FLOAT;
    row.activations = 1U << TSR_EPILOGUE_SILU;
    row.fused_operands = TSR_FUSES_BIAS | TSR_FUSES_N_RANGE;
    rows_ = {row};
    refresh();
    op_.x = builder_.tokens(TSR_BF16, {256});
    op_.y = builder_.tokens(TSR_BF16, {64});
    op_.bias = op_.multiplier = op_.residual = TSR_NONE;
  }
  void refresh() {
    weights_[0].planes = array_of(planes_);
    for (tsr_kernel_desc& row : rows_) row.planes = array_of(rules_);
  }
  std::vector<tsr_refusal> check_op() {
    builder_.op(TSR_OP_LINEAR, op_);
    return check();
  }
  void expect_op_refusal(uint32_t reason, const std::string& field,
                         int64_t value, int64_t nearest) {
    refresh();
    builder_.op(TSR_OP_LINEAR, op_);
    expect_refusal(reason, field, value, nearest);
  }

  std::vector<tsr_plane> planes_;
  std::vector<tsr_plane_rule> rules_;
  tsr_op_linear op_{};
};

TEST_F(LinearCapability, AcceptsWhatARowCovers) {
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, AcceptsHeadsInPlaceOfFeatures) {
  op_.x = builder_.tokens(TSR_BF16, {4, 64});
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, RefusesAnOpWithoutRows) {
  rows_ = {make_row(TSR_OP_ADD)};
  expect_op_refusal(TSR_REFUSED_OP, "op", TSR_OP_LINEAR, TSR_OP_LINEAR);
}

TEST_F(LinearCapability, RefusesWithAnEmptyTable) {
  rows_.clear();
  expect_op_refusal(TSR_REFUSED_OP, "op", TSR_OP_LINEAR, TSR_OP_LINEAR);
}

TEST_F(LinearCapability, NamesTheNearestWeightFormat) {
  weights_[0].format = TSR_WEIGHT_I4;
  rows_.push_back(rows_[0]);
  rows_[1].weight_format = TSR_WEIGHT_F32;
  expect_op_refusal(TSR_REFUSED_FORMAT, "weight.format", TSR_WEIGHT_I4,
                    TSR_WEIGHT_U4);
}

TEST_F(LinearCapability, NamesTheActivationQuantizationThatWouldWork) {
  op_.act_quant = TSR_ACT_I8_DYNAMIC;
  expect_op_refusal(TSR_REFUSED_DTYPE, "act_quant", TSR_ACT_I8_DYNAMIC,
                    TSR_ACT_FLOAT);
}

TEST_F(LinearCapability, NamesTheInputWhoseTypeIsWrong) {
  rows_[0].x_dtypes = 1U << TSR_F16;
  expect_op_refusal(TSR_REFUSED_DTYPE, "x.dtype", TSR_BF16, TSR_F16);
}

TEST_F(LinearCapability, NamesTheOutputWhoseTypeIsWrong) {
  rows_[0].y_dtypes = 1U << TSR_F32;
  expect_op_refusal(TSR_REFUSED_DTYPE, "y.dtype", TSR_BF16, TSR_F32);
}

TEST_F(LinearCapability, SaysThatNothingWouldWorkByRepeatingTheValue) {
  rows_[0].y_dtypes = 0;
  expect_op_refusal(TSR_REFUSED_DTYPE, "y.dtype", TSR_BF16, TSR_BF16);
}

TEST_F(LinearCapability, NamesTheNearestGroupSize) {
  planes_[1].block_k = 256;
  expect_op_refusal(TSR_REFUSED_FORMAT, "group_size", 256, 128);
}

TEST_F(LinearCapability, TakesTheNearestGroupSizeOverAllRows) {
  planes_[1].block_k = 16;
  rows_.push_back(rows_[0]);
  refresh();
  const std::vector<tsr_plane_rule> fine{
      make_rule(TSR_PLANE_SCALE, 1, {8, 8, 0})};
  rows_[1].planes = array_of(fine);
  builder_.op(TSR_OP_LINEAR, op_);
  expect_refusal(TSR_REFUSED_FORMAT, "group_size", 16, 8);
}

TEST_F(LinearCapability, TellsPerChannelFromGroups) {
  planes_[1].block_k = 256;  // K
  rules_[0].block_k = {TSR_WHOLE, TSR_WHOLE, 0};
  refresh();
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, AsksForPerChannelWhereGroupsAreUnknown) {
  rules_[0].block_k = {TSR_WHOLE, TSR_WHOLE, 0};
  expect_op_refusal(TSR_REFUSED_FORMAT, "group_size", 32, 256);
}

TEST_F(LinearCapability, WholeAsMaximumAdmitsGroupsToo) {
  rules_[0].block_k = {32, TSR_WHOLE, 32};
  refresh();
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, RefusesAMissingPlane) {
  planes_.pop_back();
  expect_op_refusal(TSR_REFUSED_FORMAT, "scale", TSR_PLANE_SCALE,
                    TSR_PLANE_SCALE);
}

TEST_F(LinearCapability, TakesAnOptionalPlaneOrNone) {
  planes_.push_back(make_plane(TSR_PLANE_ZERO_POINT, TSR_U8, 1, 32));
  refresh();
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, RefusesAPlaneThatNoRuleNames) {
  planes_.push_back(make_plane(TSR_PLANE_PERMUTATION, TSR_I32, 0, 0));
  expect_op_refusal(TSR_REFUSED_FORMAT, "permutation", TSR_PLANE_PERMUTATION,
                    TSR_PLANE_PERMUTATION);
}

TEST_F(LinearCapability, RefusesThePlanesType) {
  planes_[1].dtype = TSR_BF16;
  expect_op_refusal(TSR_REFUSED_FORMAT, "scale.dtype", TSR_BF16, TSR_F32);
}

TEST_F(LinearCapability, RefusesTheActivationFunction) {
  op_.activation = TSR_EPILOGUE_GELU_TANH;
  expect_op_refusal(TSR_REFUSED_EPILOGUE, "activation", TSR_EPILOGUE_GELU_TANH,
                    TSR_EPILOGUE_SILU);
}

TEST_F(LinearCapability, RefusesAnActivationFunctionFromLater) {
  op_.activation = 77;
  expect_op_refusal(TSR_REFUSED_EPILOGUE, "activation", 77, TSR_EPILOGUE_SILU);
}

TEST_F(LinearCapability, RefusesAnOperandThatIsNotFused) {
  op_.residual = builder_.tokens(TSR_BF16, {64});
  expect_op_refusal(TSR_REFUSED_EPILOGUE, "residual", 1, 0);
}

TEST_F(LinearCapability, RefusesAccumulation) {
  op_.flags = TSR_LINEAR_ACCUMULATE;
  expect_op_refusal(TSR_REFUSED_EPILOGUE, "accumulate", 1, 0);
}

TEST_F(LinearCapability, PartialOutputHasTheAccumulatorsType) {
  rows_[0].fused_operands |= TSR_FUSES_PARTIAL;
  op_.flags = TSR_LINEAR_PARTIAL;
  op_.y = builder_.tokens(TSR_I32, {64});
  expect_op_refusal(TSR_REFUSED_DTYPE, "y.dtype", TSR_I32, TSR_F32);
}

TEST_F(LinearCapability, NamesTheNearestK) {
  rows_[0].K = {0, 0, 96};
  expect_op_refusal(TSR_REFUSED_SHAPE, "K", 256, 288);
}

TEST_F(LinearCapability, NamesTheNearestN) {
  rows_[0].N = {128, 0, 0};
  expect_op_refusal(TSR_REFUSED_SHAPE, "N", 64, 128);
}

TEST_F(LinearCapability, SlicesOfNKeepItsMultiple) {
  rows_[0].N = {0, 0, 16};
  op_.n_begin = 24;
  op_.y = builder_.tokens(TSR_BF16, {40});
  expect_op_refusal(TSR_REFUSED_SHAPE, "n_begin", 24, 16);
}

TEST_F(LinearCapability, NamesTheLargestStep) {
  rows_[0].M = {0, 6, 0};
  expect_op_refusal(TSR_REFUSED_SHAPE, "M", 8, 6);
}

TEST_F(LinearCapability, NamesTheSmallestStep) {
  rows_[0].M = {4, 0, 0};
  expect_op_refusal(TSR_REFUSED_SHAPE, "M", 1, 4);
}

TEST_F(LinearCapability, RowsTogetherCoverTheSteps) {
  rows_.push_back(rows_[0]);
  rows_[0].M = {1, 1, 0};
  rows_[1].M = {2, 8, 0};
  refresh();
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, FindsAGapBetweenRows) {
  rows_.push_back(rows_[0]);
  rows_[0].M = {1, 2, 0};
  rows_[1].M = {4, 8, 0};
  expect_op_refusal(TSR_REFUSED_SHAPE, "M", 8, 2);
}

TEST_F(LinearCapability, RefusesAPhaseWithoutKernel) {
  rows_[0].phases = TSR_DECODE;
  expect_op_refusal(TSR_REFUSED_FEATURE, "phase", TSR_PREFILL, TSR_PREFILL);
}

TEST_F(LinearCapability, AProgramOfOnePhaseNeedsOnlyIt) {
  rows_[0].phases = TSR_DECODE;
  builder_.desc.phases = TSR_DECODE;
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, PortableNeedsAPortableRow) {
  op_.op.flags = TSR_OP_PORTABLE;
  rows_[0].determinism = TSR_DETERMINISM_RUN;
  expect_op_refusal(TSR_REFUSED_FEATURE, "determinism",
                    TSR_DETERMINISM_PORTABLE, TSR_DETERMINISM_RUN);
}

TEST_F(LinearCapability, PortableRunsOnAPortableRow) {
  op_.op.flags = TSR_OP_PORTABLE;
  rows_[0].determinism = TSR_DETERMINISM_PORTABLE;
  EXPECT_TRUE(check_op().empty());
}

TEST_F(LinearCapability, RefusesAnUnknownExtensionThatMustBeUnderstood) {
  builder_.op(TSR_OP_LINEAR, op_,
              {make_extension("dev.tessera.test", TSR_MUST_UNDERSTAND)});
  expect_refusal(TSR_REFUSED_EXTENSION, "extension", 0, 0);
}

TEST_F(LinearCapability, SkipsAnExtensionThatMayBeIgnored) {
  builder_.op(TSR_OP_LINEAR, op_, {make_extension("dev.tessera.test", 0)});
  EXPECT_TRUE(check().empty());
}

TEST_F(LinearCapability, TakesAnExtensionThatTheRowNames) {
  const std::vector<const char*> known{"dev.tessera.other", "dev.tessera.test"};
  rows_[0].extensions = array_of(known);
  builder_.op(TSR_OP_LINEAR, op_,
              {make_extension("dev.tessera.test", TSR_MUST_UNDERSTAND)});
  EXPECT_TRUE(check().empty());
}

TEST_F(LinearCapability, ExplainsByTheRowThatCameFurthest) {
  tsr_kernel_desc other = rows_[0];
  other.weight_format = TSR_WEIGHT_F32;
  rows_.insert(rows_.begin(), other);
  rows_.push_back(other);
  rows_[1].K = {0, 128, 0};
  expect_op_refusal(TSR_REFUSED_SHAPE, "K", 256, 128);
}

TEST_F(LinearCapability, MessagesNameOpValueAndNearest) {
  rows_[0].x_dtypes = 1U << TSR_F16;
  const auto refusals = check_op();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_STREQ(refusals[0].message, "linear: x.dtype bf16, nearest is f16");
}

TEST_F(LinearCapability, FindRowTakesTheFirstRowForThatStep) {
  rows_.push_back(rows_[0]);
  rows_[0].M = {1, 1, 0};
  rows_[1].phases = TSR_PREFILL;
  refresh();
  builder_.op(TSR_OP_LINEAR, op_);
  const OpFacts asked = facts();
  EXPECT_EQ(find_row(array_of(rows_), asked, TSR_DECODE, 1), 0u);
  EXPECT_EQ(find_row(array_of(rows_), asked, TSR_PREFILL, 8), 1u);
  EXPECT_EQ(find_row(array_of(rows_), asked, TSR_DECODE, 8), std::nullopt);
}

TEST_F(LinearCapability, ShapesThatDisagreeAreInvalid) {
  op_.x = builder_.tokens(TSR_BF16, {255});
  builder_.op(TSR_OP_LINEAR, op_);
  expect_invalid("op 0 (linear): x has no rows of 256 elements");
}

TEST_F(LinearCapability, AnOperandThatDoesNotExistIsInvalid) {
  op_.residual = 99;
  builder_.op(TSR_OP_LINEAR, op_);
  expect_invalid("residual is tensor 99 of 2");
}

TEST_F(LinearCapability, AWeightThatDoesNotExistIsInvalid) {
  op_.weight = 1;
  builder_.op(TSR_OP_LINEAR, op_);
  expect_invalid("weight 1 of 1");
}

TEST_F(LinearCapability, AccumulationWithAnEpilogueIsInvalid) {
  op_.flags = TSR_LINEAR_ACCUMULATE;
  op_.activation = TSR_EPILOGUE_SILU;
  builder_.op(TSR_OP_LINEAR, op_);
  expect_invalid("take no epilogue");
}

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
      return names::op(param.param.kind);
    });

TEST(UnknownValue, NamesWhatALaterVersionBrought) {
  tsr_kernel_desc row = make_row(TSR_OP_ADD);
  row.error_class = TSR_ERROR_FLOAT;
  EXPECT_EQ(unknown_value(row), "");
  row.x_dtypes |= 1U << 31;  // a type that nobody here asks for
  EXPECT_EQ(unknown_value(row), "");
  row.weight_format = 99;
  EXPECT_EQ(unknown_value(row), "weight_format 99");
  row.determinism = 9;
  EXPECT_EQ(unknown_value(row), "determinism 9");
  row.op = 13;
  EXPECT_EQ(unknown_value(row), "op 13");
  row = make_row(TSR_OP_EXTENSION);
  EXPECT_EQ(unknown_value(row), "error_class 0");
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
