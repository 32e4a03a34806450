// SPDX-License-Identifier: Apache-2.0
//
// Exact shares, 15 levels a tile, and errors below those of rounding to
// nearest.

#include "framework/quant/sparsity/sparsify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/quant/sparsity/importance.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> ones(uint32_t K) { return std::vector<float>(K, 1.0f); }

Hessian hessian_of(uint32_t K) {
  auto statistics = InputStatistics::create(K, true);
  EXPECT_TRUE(statistics->add(correlated_rows(4 * K, K), run_serially()).ok());
  return *std::move(*statistics).take_hessian(run_serially());
}

GptqFactor factor_of(const Hessian& hessian) {
  GptqOptions options;
  options.act_order = true;
  auto factor = factor_hessian(hessian, options, run_serially());
  EXPECT_TRUE(factor.ok()) << factor.status().message();
  return std::move(*factor);
}

ProtectedWeight protect(const ProtectOptions& options, uint32_t N, uint32_t K,
                        const GptqFactor* factor = nullptr) {
  auto weight = protect_fraction(options, N, normal_values(size_t{N} * K),
                                 ones(K), factor, run_serially());
  EXPECT_TRUE(weight.ok()) << weight.status().message();
  return std::move(*weight);
}

float scale_of(const ProtectedWeight& weight, uint32_t n) {
  return static_cast<float>(
      format::element_value(weight.scale.dtype, weight.scale.row(n), 0));
}

TEST(ZeroFraction, ZeroesExactlyTheSmallest) {
  std::vector<float> values = {0.5f, -0.1f, 0.3f, 0.1f, -2.0f, 0.1f};
  ASSERT_TRUE(zero_fraction(0.35, ones(3), values).ok());  // floor(2.1)
  EXPECT_THAT(values, ElementsAre(0.5f, 0.0f, 0.3f, 0.0f, -2.0f, 0.1f));
}

TEST(ZeroFraction, CountsAsTheArticleDoes) {
  for (const double fraction : {0.0, 0.012, 0.3, 1.0}) {
    std::vector<float> values = normal_values(1000);
    ASSERT_TRUE(zero_fraction(fraction, ones(10), values).ok());
    EXPECT_EQ(std::count(values.begin(), values.end(), 0.0f),
              static_cast<ptrdiff_t>(fraction * 1000));
  }
}

TEST(ZeroFraction, RefusesWhatItCannotOrder) {
  std::vector<float> values = {1.0f, kNan};
  EXPECT_EQ(zero_fraction(0.5, ones(2), values).message(),
            "zero_fraction: weight 1 is nan");
  EXPECT_EQ(zero_fraction(1.5, ones(2), values).message(),
            "zero_fraction: fraction 1.500000 is not in [0, 1]");
  EXPECT_EQ(zero_fraction(0.5, ones(3), values).message(),
            "zero_fraction: 2 weights in columns of K=3");
  EXPECT_THAT(zero_fraction(kNan, ones(2), values).message(),
              HasSubstr("not in [0, 1]"));
  EXPECT_THAT(zero_fraction(0.5, std::vector{1.0f, -1.0f}, values).message(),
              HasSubstr("importance of column 1"));
}

TEST(ProtectFraction, ProtectsExactlyTheMostImportant) {
  const uint32_t N = 30;
  const uint32_t K = 40;
  ProtectOptions options;
  options.fraction = 0.05;
  const ProtectedWeight weight = protect(options, N, K);
  EXPECT_EQ(weight.num_protected, 60U);
  EXPECT_EQ(weight.is_protected,
            mark_most_important(normal_values(N * K), ones(K), 60));
}

// Also at the edges of tiles, and after errors were moved on.
TEST(ProtectFraction, TakesAtMostFifteenCodesATileOutsideTheProtected) {
  const uint32_t N = 257;
  const uint32_t K = 130;
  const GptqFactor factor = factor_of(hessian_of(K));
  for (const SparseGrid grid : {SparseGrid::kUniform, SparseGrid::kBook}) {
    for (const GptqFactor* use :
         {static_cast<const GptqFactor*>(nullptr), &factor}) {
      ProtectOptions options;
      options.grid = grid;
      const ProtectedWeight weight = protect(options, N, K, use);
      for (uint64_t t = 0; t < format::num_sparse_tiles(N, K); ++t) {
        const auto shape = format::sparse_tile_shape(N, K, t);
        std::set<int8_t> levels;
        for (uint32_t r = 0; r < shape.rows; ++r) {
          for (uint32_t c = 0; c < shape.cols; ++c) {
            const size_t i = size_t{shape.row + r} * K + shape.col + c;
            if (weight.is_protected[i] == 0) levels.insert(weight.codes[i]);
          }
        }
        EXPECT_LE(levels.size(), 15U);
        if (grid == SparseGrid::kUniform) {
          for (const int8_t level : levels) EXPECT_EQ(level % 7, 0);
        }
      }
    }
  }
}

// A protected weight is off by half a code, if it is inside the codes' reach.
TEST(ProtectFraction, KeepsTheProtectedToHalfACode) {
  const uint32_t N = 64;
  const uint32_t K = 128;
  const ProtectedWeight weight = protect({}, N, K);
  const std::vector<float> values = normal_values(N * K);
  for (size_t i = 0; i < values.size(); ++i) {
    if (weight.is_protected[i] == 0) continue;
    const float scale = scale_of(weight, static_cast<uint32_t>(i / K));
    if (std::fabs(values[i]) > 127 * scale) continue;
    // The product with the scale rounds once more.
    EXPECT_LE(std::fabs(values[i] - scale * weight.codes[i]),
              scale * (0.5f + 127 * 0x1p-23f));
  }
}

double weighted_error(const ProtectedWeight& weight, const Hessian& hessian) {
  const uint32_t K = weight.K;
  const std::vector<float> values = normal_values(size_t{weight.N} * K);
  double total = 0.0;
  std::vector<double> miss(K);
  for (uint32_t n = 0; n < weight.N; ++n) {
    for (uint32_t k = 0; k < K; ++k) {
      const size_t i = size_t{n} * K + k;
      miss[k] = double{values[i]} - double{scale_of(weight, n)} *
                                        static_cast<double>(weight.codes[i]);
    }
    for (uint32_t i = 0; i < K; ++i) {
      for (uint32_t j = 0; j < K; ++j) {
        total += miss[i] * double{hessian.values[size_t{i} * K + j]} * miss[j];
      }
    }
  }
  return total;
}

TEST(ProtectFraction, MovingErrorsOnLowersTheErrorOfTheOutputs) {
  const Hessian hessian = hessian_of(160);
  const GptqFactor factor = factor_of(hessian);
  EXPECT_LT(weighted_error(protect({}, 64, 160, &factor), hessian),
            weighted_error(protect({}, 64, 160), hessian));
}

TEST(ProtectFraction, ABookErrsLessThanAUniformGrid) {
  ProtectOptions options;
  options.rate_weight = 0.0;
  Hessian identity{128, std::vector<float>(128 * 128, 0.0f)};
  for (size_t k = 0; k < 128; ++k) identity.values[k * 129] = 1.0f;
  const double book = weighted_error(protect(options, 256, 128), identity);
  options.grid = SparseGrid::kUniform;
  EXPECT_LT(book, weighted_error(protect(options, 256, 128), identity));
}

TEST(ProtectFraction, GivesTheSameCodesOnAnyThreads) {
  const GptqFactor factor = factor_of(hessian_of(130));
  const ParallelFor backwards = [](uint32_t num_tasks,
                                   const std::function<void(uint32_t)>& body) {
    for (uint32_t i = num_tasks; i-- > 0;) body(i);
  };
  const std::vector<float> values = normal_values(300 * 130);
  const auto a =
      protect_fraction({}, 300, values, ones(130), &factor, run_serially());
  const auto b =
      protect_fraction({}, 300, values, ones(130), &factor, backwards);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->codes, b->codes);
  EXPECT_EQ(a->scale.owned, b->scale.owned);
}

TEST(ProtectFraction, DenseAndCompressedHoldTheSameCodes) {
  const ProtectedWeight weight = protect({}, 257, 130);
  const format::WeightData dense = weight.dense();
  EXPECT_EQ(dense.format, TSR_WEIGHT_I8);
  EXPECT_TRUE(dense.slice(1, 5).ok());
  const auto compressed = weight.compressed();
  ASSERT_TRUE(compressed.ok()) << compressed.status().message();
  EXPECT_EQ(compressed->format, TSR_WEIGHT_SPARSE_FIXED);
  EXPECT_GT(dense.bytes(), compressed->bytes() * 17 / 10);
}

TEST(ProtectFraction, RoundsZerosEqualsAndOutliersWithoutHarm) {
  std::vector<float> values(4 * 16, 0.0f);
  std::fill_n(values.begin() + 16, 16, 0.25f);
  values[40] = 1e30f;
  values[50] = 1e-38f;
  for (const double fraction : {0.0, 0.05, 1.0}) {
    ProtectOptions options;
    options.fraction = fraction;
    const auto weight =
        protect_fraction(options, 4, values, ones(16), nullptr, run_serially());
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    for (size_t i = 0; i < 16; ++i) EXPECT_EQ(weight->codes[i], 0);
    // One code is worth 1/127 of the row's largest weight or less.
    EXPECT_NEAR(scale_of(*weight, 1) * weight->codes[16], 0.25f, 0.25f / 8);
  }
}

TEST(ProtectFraction, RefusesWhatDoesNotFit) {
  const auto message = [](const ProtectOptions& options, uint32_t N,
                          const std::vector<float>& values,
                          const std::vector<float>& factors) {
    return protect_fraction(options, N, values, factors, nullptr,
                            run_serially())
        .status()
        .message();
  };
  ProtectOptions options;
  EXPECT_THAT(message(options, 2, {1, kNan}, {1}),
              HasSubstr("protect_fraction: row 1: column 0 is "));
  EXPECT_THAT(message(options, 3, {1, 2}, {1}),
              HasSubstr("protect_fraction: "));
  EXPECT_THAT(message(options, 0, {}, {}), HasSubstr("a weight of 0 x 0"));
  options.fraction = -0.1;
  EXPECT_THAT(message(options, 2, {1, 2}, {1}), HasSubstr("not in [0, 1]"));
  options = {};
  options.rate_weight = 2.0;
  EXPECT_THAT(message(options, 2, {1, 2}, {1}), HasSubstr("rate_weight"));
  options = {};
  options.scale_dtype = TSR_I8;
  EXPECT_THAT(message(options, 2, {1, 2}, {1}), HasSubstr("not f32, f16"));
  options.scale_dtype = TSR_F16;
  EXPECT_THAT(message(options, 2, {1e9f, 1e9f}, {1}),
              HasSubstr("row 0: scale "));
}

}  // namespace
}  // namespace tessera::quant
