// SPDX-License-Identifier: Apache-2.0
//
// Smoothing leaves the block's function alone and balances its ranges.

#include "framework/quant/outliers/smooth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/unit/framework/quant/block_function.hpp"

namespace tessera::quant {
namespace {

constexpr uint32_t kHidden = 24;
constexpr uint32_t kHeadDim = 6;
constexpr uint32_t kFfn = 40;

BlockActivations activations_of(const BlockTrace& trace) {
  return {column_max(trace.attention_input), column_max(trace.output_input),
          column_max(trace.mlp_input), column_max(trace.down_input)};
}

TEST(Smooth, ScalesFollowEquation4) {
  const std::vector<float> a = {16.0f, 4.0f, 0.0f, 1e-20f};
  const std::vector<float> w = {0.25f, 4.0f, 1.0f, 1.0f};
  const std::vector<float> s = smooth_scales({0.5, 0.5}, a, w);
  EXPECT_FLOAT_EQ(s[0], 8.0f);
  EXPECT_FLOAT_EQ(s[1], 1.0f);
  EXPECT_EQ(s[2], 1.0f) << "a channel that is never used stays";
  EXPECT_EQ(s[3], 1e-5f) << "clamped";
  EXPECT_FLOAT_EQ(smooth_scales({0.75, 0.25}, a, w)[0],
                  8.0f / std::pow(0.25f, 0.25f));
}

class SmoothSubgraph : public testing::TestWithParam<Subgraph> {};

TEST_P(SmoothSubgraph, KeepsTheFunctionOfTheBlock) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  ASSERT_TRUE(check_block(block).ok());
  const Rows x = random_rows(7, kHidden);
  const BlockTrace before = run_block(block, x);
  BlockActivations activations = activations_of(before);
  const auto s = smooth_subgraph(GetParam(), {0.8, 0.3}, &block, &activations);
  ASSERT_TRUE(s.ok());
  const BlockTrace after = run_block(block, x);
  EXPECT_LT(relative_difference(before.result, after.result), kFoldTolerance);
  // The maxima are those of the block as it is now.
  BlockActivations expected = activations_of(after);
  const std::vector<float>& now = expected.of(GetParam());
  for (size_t k = 0; k < now.size(); ++k) {
    EXPECT_NEAR(activations.of(GetParam())[k] / now[k], 1.0, 1e-4) << k;
  }
}

TEST_P(SmoothSubgraph, BalancesActivationsAndWeightsAtOneHalf) {
  // With alpha 0.5 both maxima of a channel become sqrt(A * W), the point of
  // arXiv:2211.10438, section 4.
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  const Rows x = random_rows(7, kHidden);
  BlockActivations activations = activations_of(run_block(block, x));
  ASSERT_TRUE(
      smooth_subgraph(GetParam(), {0.5, 0.5}, &block, &activations).ok());
  const auto channels = channel_map(GetParam(), block);
  const std::vector<float> a =
      merge_columns(channels, activations.of(GetParam()));
  const std::vector<float> w =
      merge_columns(channels, weight_column_max(consumers(GetParam(), &block)));
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i] / w[i], 1.0f, 1e-5f) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmoothSubgraph,
                         testing::Values(Subgraph::kUpDown,
                                         Subgraph::kValueOutput,
                                         Subgraph::kNormAttention,
                                         Subgraph::kNormMlp));

TEST(Smooth, AllSubgraphsTogetherKeepTheFunction) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  const Rows x = random_rows(7, kHidden);
  const BlockTrace before = run_block(block, x);
  BlockActivations activations = activations_of(before);
  for (const Subgraph subgraph : all_subgraphs()) {
    ASSERT_TRUE(
        smooth_subgraph(subgraph, {0.9, 0.1}, &block, &activations).ok());
  }
  EXPECT_LT(relative_difference(before.result, run_block(block, x).result),
            2.0 * kFoldTolerance);
}

TEST(Smooth, SharesTheScaleOfAValueChannelAmongItsQueryHeads) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  const auto channels = channel_map(Subgraph::kValueOutput, block);
  ASSERT_EQ(channels.size(), 4U * kHeadDim);
  EXPECT_EQ(channels[0], channels[kHeadDim]);
  EXPECT_EQ(channels[2 * kHeadDim], kHeadDim);
  EXPECT_EQ(channels[3 * kHeadDim + 1], kHeadDim + 1);
}

TEST(Smooth, FoldsALinearPair) {
  FloatLinear first = random_linear(5, 3, 1, true);
  FloatLinear second = random_linear(2, 5, 2, false);
  const Rows x = random_rows(4, 3);
  const Rows before = apply_linear(second, apply_linear(first, x));
  const std::vector<float> s = {0.5f, 3.0f, 7.0f, 1e-3f, 1.0f};
  ASSERT_TRUE(fold_linear_pair(s, &first, &second).ok());
  EXPECT_LT(
      relative_difference(before, apply_linear(second, apply_linear(first, x))),
      kFoldTolerance);
  EXPECT_FALSE(fold_linear_pair(s, &second, &first).ok());
}

TEST(Smooth, RefusesScalesThatAreNotPositive) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  std::vector<float> s(kHidden, 1.0f);
  s[3] = 0.0f;
  const Status status = fold_scales(Subgraph::kNormMlp, s, &block);
  EXPECT_EQ(status.message(), "scale of channel 3 is 0.000000");
  s.pop_back();
  EXPECT_EQ(fold_scales(Subgraph::kNormMlp, s, &block).message(),
            "23 scales for 24 channels");
}

TEST(Smooth, RefusesMaximaOfAnotherSizeAndExponentsAboveOne) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  BlockActivations none;
  EXPECT_FALSE(smooth_subgraph(Subgraph::kUpDown, {}, &block, &none).ok());
  EXPECT_FALSE(
      smooth_subgraph(Subgraph::kUpDown, {1.5, 0.0}, &block, &none).ok());
}

TEST(DecoderBlock, NamesThePartThatDoesNotFit) {
  DecoderBlock block = random_block(kHidden, kHeadDim, kFfn);
  block.o.K = 7;
  EXPECT_EQ(check_block(block).message(),
            "o: [24, 7] with 576 weights and 0 biases instead of [24, 24]");
  block = random_block(kHidden, kHeadDim, kFfn);
  block.up.weight[kHidden] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(check_block(block).message(), "up: row 1 is not finite");
  block = random_block(kHidden, kHeadDim, kFfn);
  block.num_kv_heads = 3;
  EXPECT_FALSE(check_block(block).ok());
}

}  // namespace
}  // namespace tessera::quant
