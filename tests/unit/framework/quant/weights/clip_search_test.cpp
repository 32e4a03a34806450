// SPDX-License-Identifier: Apache-2.0
//
// Searched scales against format's encoder and a finer grid.

#include "framework/quant/weights/clip_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "framework/host/services/thread_pool.hpp"
#include "framework/quant/weights/integer_weight.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

using format::WeightScheme;

std::vector<WeightScheme> schemes() {
  return {
      {TSR_WEIGHT_I8},
      {TSR_WEIGHT_I8, 0, false, false},
      {TSR_WEIGHT_U8, 32},
      {TSR_WEIGHT_I4, 32},
      {TSR_WEIGHT_U4, 32, false, false},
      {TSR_WEIGHT_I4, 0, true},
      {TSR_WEIGHT_I4, 32, false, true, format::ScaleRule::kHalfRange},
      {TSR_WEIGHT_U4, 64, false, false, format::ScaleRule::kMaxCode, TSR_F16}};
}

TEST(ClipSearch, WithoutStepsBytesAreThoseOfTheEncoder) {
  const uint32_t N = 19;
  const uint32_t K = 75;
  const std::vector<float> w = normal_values(size_t{N} * K);
  ThreadPool pool(2);
  for (const WeightScheme& scheme : schemes()) {
    const auto expected = format::encode_weight(scheme, N, K, w);
    const auto rounded = round_with_search(scheme, {}, N, w, {}, run_on(pool));
    ASSERT_TRUE(expected.ok());
    ASSERT_TRUE(rounded.ok()) << rounded.status().message();
    const auto& planes = rounded->weight.planes;
    ASSERT_EQ(planes.size(), expected->planes.size());
    for (size_t i = 0; i < expected->planes.size(); ++i) {
      EXPECT_EQ(planes[i].role, expected->planes[i].role);
      EXPECT_EQ(planes[i].block_n, expected->planes[i].block_n);
      EXPECT_EQ(planes[i].block_k, expected->planes[i].block_k);
      EXPECT_EQ(planes[i].owned, expected->planes[i].owned);
    }
  }
}

double error_with(const WeightScheme& scheme, format::GroupScale scale,
                  std::span<const float> values,
                  std::span<const float> importance) {
  double sum = 0.0;
  for (size_t k = 0; k < values.size(); ++k) {
    const int32_t code =
        format::integer_code(format::integer_grid(scheme), scale, values[k]);
    const double back = double{scale.scale} * (code - scale.zero_point);
    sum += (back - values[k]) * (back - values[k]) *
           (importance.empty() ? 1.0 : double{importance[k]});
  }
  return sum;
}

TEST(ClipSearch, IsNeverWorseThanTheWholeRange) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> values = normal_values(32, seed);
    for (const WeightScheme& scheme : schemes()) {
      const auto plain = search_scale(scheme, {}, values, {});
      const auto searched = search_scale(scheme, {50, 0.3f}, values, {});
      EXPECT_LE(error_with(scheme, searched, values, {}),
                error_with(scheme, plain, values, {}))
          << "seed " << seed;
    }
  }
}

TEST(ClipSearch, ProtectsWhatMatters) {
  std::vector<float> values = normal_values(32);
  values[4] = 12.0f;
  const WeightScheme scheme{TSR_WEIGHT_I4};
  std::vector<float> importance(32, 1.0f);
  importance[4] = 1e-6f;
  const auto clipped = search_scale(scheme, {80, 0.1f}, values, importance);
  importance[4] = 1e6f;
  const auto kept = search_scale(scheme, {80, 0.1f}, values, importance);
  EXPECT_LT(clipped.scale, 0.6f * kept.scale);
  EXPECT_GT(kept.scale, 12.0f / 8.0f);
}

TEST(ClipSearch, NamesTheRowOfNanAndOfAScaleThatDoesNotFit) {
  std::vector<float> w(8, 1.0f);
  w[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(round_with_search({TSR_WEIGHT_I8}, {}, 2, w, {}, run_serially())
                .status()
                .message(),
            "row 1: column 1 is NaN");
  w[5] = 1e30f;
  WeightScheme half{TSR_WEIGHT_I8};
  half.scale_dtype = TSR_F16;
  const auto result = round_with_search(half, {}, 2, w, {}, run_serially());
  EXPECT_EQ(result.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(result.status().message().substr(0, 28),
            "row 1: a scale does not fit ");
  EXPECT_FALSE(
      round_with_search({TSR_WEIGHT_I8}, {}, 0, {}, {}, run_serially()).ok());
  EXPECT_FALSE(
      round_with_search({TSR_WEIGHT_I8}, {}, 3, w, {}, run_serially()).ok());
}

}  // namespace
}  // namespace tessera::quant
