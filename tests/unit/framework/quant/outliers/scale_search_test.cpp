// SPDX-License-Identifier: Apache-2.0
//
// AWQ and Flex Smooth: the error they minimize, and that they lower it.

#include "framework/quant/outliers/scale_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/weight.hpp"
#include "framework/format/encode.hpp"
#include "framework/host/services/thread_pool.hpp"
#include "framework/quant/activations/input_statistics.hpp"
#include "tests/unit/framework/quant/block_function.hpp"

namespace tessera::quant {
namespace {

constexpr uint32_t kK = 70;
constexpr uint32_t kM = 30;

// Two linears, 67 and 5 rows, that read outlier channels.
struct SharedInput {
  std::vector<float> rows = correlated_rows(kM, kK);
  FloatLinear first = random_linear(67, kK, 11, false);
  FloatLinear second = random_linear(5, kK, 12, false);
  std::vector<FloatLinear*> linears = {&first, &second};
  ColumnStatistics columns;

  SharedInput() {
    auto statistics = InputStatistics::create(kK, false);
    EXPECT_TRUE(statistics.ok());
    EXPECT_TRUE(statistics->add(rows, run_serially()).ok());
    columns = statistics->columns();
  }

  ScaleProblem problem(InputRounding inputs) const {
    ScaleProblem p;
    p.linears = linears;
    p.rows = rows;
    p.weight_scheme = {TSR_WEIGHT_U4, 32, false, false};
    if (inputs != InputRounding::kNone) p.weight_scheme = {TSR_WEIGHT_I8};
    p.inputs = inputs;
    return p;
  }
};

// The same error by the codecs and the oracle's activations, in f64.
double expected_error(const ScaleProblem& p, const std::vector<float>& s) {
  double sum = 0.0;
  double count = 0.0;
  std::vector<double> inputs(p.rows.size());
  std::vector<int32_t> codes(kK);
  float amax = 0.0f;
  for (size_t i = 0; i < p.rows.size(); ++i) {
    amax = std::fmax(amax, std::fabs(p.rows[i] / s[i % kK]));
  }
  for (size_t m = 0; m < kM; ++m) {
    std::vector<float> row(kK);
    for (size_t k = 0; k < kK; ++k) row[k] = p.rows[m * kK + k] / s[k];
    float scale = 1.0f;
    if (p.inputs == InputRounding::kPerToken) {
      scale = reference::quantize_dynamic(row, 127, codes);
    } else if (p.inputs == InputRounding::kStatic) {
      const float fixed = amax / 127.0f;
      scale = reference::quantize_static(row, {fixed, 1.0f / fixed, 0}, -128,
                                         127, codes);
    }
    for (size_t k = 0; k < kK; ++k) {
      inputs[m * kK + k] = p.inputs == InputRounding::kNone
                               ? double{row[k]}
                               : double{scale} * codes[k];
    }
  }
  for (const FloatLinear* linear : p.linears) {
    std::vector<float> scaled = linear->weight;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= s[i % kK];
    const auto weight =
        format::encode_weight(p.weight_scheme, linear->N, kK, scaled);
    const auto opened = reference::Weight::open(*weight);
    std::vector<double> row(kK);
    for (uint32_t n = 0; n < linear->N; ++n) {
      opened->decode_row(n, row);
      for (size_t m = 0; m < kM; ++m) {
        double error = 0.0;
        for (size_t k = 0; k < kK; ++k) {
          error += inputs[m * kK + k] * row[k] -
                   double{p.rows[m * kK + k]} *
                       double{linear->weight[size_t{n} * kK + k]};
        }
        sum += error * error;
        count += 1.0;
      }
    }
  }
  return sum / count;
}

class Inputs : public testing::TestWithParam<InputRounding> {};

TEST_P(Inputs, ErrorIsThatOfTheOutputs) {
  const SharedInput shared;
  const ScaleProblem p = shared.problem(GetParam());
  std::vector<float> s(kK);
  for (size_t k = 0; k < kK; ++k) {
    s[k] = 0.5f + 0.1f * static_cast<float>(k % 13);
  }
  const auto error = scaled_output_error(p, s, run_serially());
  ASSERT_TRUE(error.ok());
  // f32 sums of K terms, and the difference of two such for rounded inputs,
  // about 1e-3 of the outputs.
  EXPECT_NEAR(*error / expected_error(p, s), 1.0, 2e-3);
}

TEST_P(Inputs, ThreadsChangeNoBit) {
  const SharedInput shared;
  const ScaleProblem p = shared.problem(GetParam());
  const std::vector<float> s(kK, 1.0f);
  ThreadPool pool(3);
  EXPECT_EQ(*scaled_output_error(p, s, run_serially()),
            *scaled_output_error(p, s, run_on(pool)));
}

INSTANTIATE_TEST_SUITE_P(All, Inputs,
                         testing::Values(InputRounding::kNone,
                                         InputRounding::kPerToken,
                                         InputRounding::kStatic));

TEST(Awq, BeatsPlainRoundingWhereChannelsDiffer) {
  const SharedInput shared;
  const ScaleProblem p = shared.problem(InputRounding::kNone);
  const auto choice = search_awq(p, shared.columns.mean_abs(), run_serially());
  ASSERT_TRUE(choice.ok());
  EXPECT_GT(choice->alpha, 0.0);
  EXPECT_LT(choice->error, 0.95 * choice->plain_error);
  EXPECT_EQ(choice->error, *scaled_output_error(p, choice->s, run_serially()));
  // Scales are centred: max * min is 1.
  const auto [low, high] =
      std::minmax_element(choice->s.begin(), choice->s.end());
  EXPECT_NEAR(*low * *high, 1.0f, 1e-5f);
}

TEST(Awq, TriesTheTwentyRatiosOfTheGrid) {
  const SharedInput shared;
  const ScaleProblem p = shared.problem(InputRounding::kNone);
  const std::vector<float> means = shared.columns.mean_abs();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 20; ++i) {
    std::vector<double> s;
    for (const float mean : means) {
      s.push_back(std::fmax(std::pow(double{mean}, i / 20.0), 1e-4));
    }
    const double centre = std::sqrt(*std::max_element(s.begin(), s.end()) *
                                    *std::min_element(s.begin(), s.end()));
    std::vector<float> scales;
    for (const double value : s) {
      scales.push_back(static_cast<float>(value / centre));
    }
    best = std::min(best, *scaled_output_error(p, scales, run_serially()));
  }
  EXPECT_DOUBLE_EQ(search_awq(p, means, run_serially())->error, best);
}

TEST(FlexSmooth, BeatsEveryPointOfTheCoarseGrid) {
  const SharedInput shared;
  const ScaleProblem p = shared.problem(InputRounding::kStatic);
  const auto choice =
      search_flex_smooth(p, shared.columns.abs_max, run_serially());
  ASSERT_TRUE(choice.ok());
  EXPECT_LT(choice->error, 0.5 * choice->plain_error);
  const std::vector<float> weights = weight_column_max(shared.linears);
  for (double alpha = 0.0; alpha <= 1.0; alpha += 0.25) {
    for (double beta = 0.0; beta <= 1.0; beta += 0.25) {
      const auto s =
          smooth_scales({alpha, beta}, shared.columns.abs_max, weights);
      EXPECT_LE(choice->error, *scaled_output_error(p, s, run_serially()));
    }
  }
}

TEST(ScaleSearch, SharesScalesOfOneChannel) {
  const SharedInput shared;
  ScaleProblem p = shared.problem(InputRounding::kStatic);
  std::vector<uint32_t> channels(kK);
  for (uint32_t k = 0; k < kK; ++k) channels[k] = k % 35;
  p.channels = channels;
  const auto choice =
      search_flex_smooth(p, shared.columns.abs_max, run_serially());
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->s.size(), 35U);
  EXPECT_LE(choice->error, choice->plain_error);
}

TEST(ScaleSearch, RefusesBadProblems) {
  const SharedInput shared;
  ScaleProblem p = shared.problem(InputRounding::kNone);
  p.rows = {};
  EXPECT_EQ(search_awq(p, shared.columns.mean_abs(), run_serially())
                .status()
                .message(),
            "awq: a sample of 0 activations is no rows of K=70");
  p = shared.problem(InputRounding::kNone);
  EXPECT_EQ(
      search_awq(p, std::vector<float>(3), run_serially()).status().message(),
      "awq: 3 activation figures for K=70");
  std::vector<float> rows = shared.rows;
  rows[kK + 2] = std::numeric_limits<float>::quiet_NaN();
  p.rows = rows;
  EXPECT_EQ(search_flex_smooth(p, shared.columns.abs_max, run_serially())
                .status()
                .message(),
            "flex smooth: sample: row 1: column 2 is NaN");
  p.linears = {};
  EXPECT_FALSE(search_awq(p, shared.columns.abs_max, run_serially()).ok());
}

}  // namespace
}  // namespace tessera::quant
