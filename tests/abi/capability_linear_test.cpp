// SPDX-License-Identifier: Apache-2.0
//
// Each thing a row of the kernel table can say of a linear refuses with its own
// reason, field and nearest value; see tessera/capability.hpp.

#include "tests/abi/capability_fixture.hpp"

namespace tessera {
namespace {

using abi_test::array_of;
using abi_test::Capability;
using abi_test::make_extension;
using abi_test::make_plane;
using abi_test::make_row;
using abi_test::make_rule;

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
  const sdk::OpFacts asked = facts();
  EXPECT_EQ(sdk::find_row(array_of(rows_), asked, TSR_DECODE, 1), 0u);
  EXPECT_EQ(sdk::find_row(array_of(rows_), asked, TSR_PREFILL, 8), 1u);
  EXPECT_EQ(sdk::find_row(array_of(rows_), asked, TSR_DECODE, 8), std::nullopt);
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

}  // namespace
}  // namespace tessera
