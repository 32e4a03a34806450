// SPDX-License-Identifier: Apache-2.0
//
// Float linear within its analytic bound, for every weight format and ISA.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

// Roundings besides those of a sum of K products: of a decoded weight, of the
// sum of a group times its scale, of SCALE2, and of the four chains.
constexpr int64_t kExtraRoundings = 8;

double output_unit(uint32_t dtype) {
  if (dtype == TSR_F16) return 0x1p-11;
  if (dtype == TSR_BF16) return 0x1p-8;
  return 0x1p-24;
}

struct FloatCase {
  Shape shape;
  uint32_t x_dtype;
  uint32_t y_dtype;
  int64_t n_begin;
};

void expect_within_bound(const TestWeight& weight, const FloatCase& test,
                         Isa isa, std::mt19937& rng) {
  const Shape& s = test.shape;
  const int64_t width = s.N - test.n_begin;
  const TestTensor x(test.x_dtype, s.M, s.K, rng);
  TestTensor y(test.y_dtype, s.M, width);
  Linear op;
  op.M = s.M;
  op.x = x.input();
  op.y = y.output();
  op.n_begin = test.n_begin;
  op.n_end = s.N;
  run_linear(weight.linear(), op, isa);
  ASSERT_TRUE(y.gaps_untouched());

  const std::vector<float> values = x.values();
  reference::Linear p;
  p.weight = &weight.oracle();
  p.M = static_cast<uint32_t>(s.M);
  p.x = values.data();
  p.n_begin = static_cast<uint32_t>(test.n_begin);
  p.n_end = static_cast<uint32_t>(s.N);
  std::vector<double> expected(static_cast<size_t>(s.M * width));
  std::vector<double> magnitudes(expected.size());
  ASSERT_TRUE(reference::linear(p, expected.data()).ok());
  ASSERT_TRUE(reference::linear_magnitudes(p, magnitudes.data()).ok());

  for (int64_t m = 0; m < s.M; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      const auto i = static_cast<size_t>(m * width + j);
      const double sum_bound = gamma(s.K + kExtraRoundings) * magnitudes[i];
      const double bound =
          sum_bound +
          output_unit(test.y_dtype) * (std::fabs(expected[i]) + sum_bound) +
          0x1p-24;
      ASSERT_NEAR(y.at(m, j), expected[i], bound)
          << "m=" << m << " n=" << test.n_begin + j << " M=" << s.M
          << " N=" << s.N << " K=" << s.K << " seed 42";
    }
  }
}

class LinearFloat : public testing::TestWithParam<WeightKindCase> {};

TEST_P(LinearFloat, StaysWithinTheBoundOfItsSumsOnEveryIsa) {
  constexpr uint32_t kTypes[] = {TSR_F32, TSR_BF16, TSR_F16};
  for (const Isa isa : runnable_isas()) {
    std::mt19937 rng(42);
    size_t i = 0;
    for (const Shape& shape : edge_shapes(GetParam().depth_multiple)) {
      SCOPED_TRACE(isa_name(isa));
      const TestWeight weight =
          random_weight(GetParam(), shape.N, shape.K, rng);
      const int64_t n_begin = i % 2 == 0 ? 0 : shape.N / 3;
      expect_within_bound(
          weight, {shape, kTypes[i % 3], kTypes[i / 3 % 3], n_begin}, isa, rng);
      if (HasFatalFailure()) return;
      ++i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LinearFloat,
                         testing::ValuesIn(weight_kinds()),
                         [](const auto& param) { return param.param.name; });

bool is_exact(const WeightKindCase& kind) {
  // Zero points and a second scale take another rounding.
  return kind.scheme.symmetric && !kind.scheme.two_level;
}

// One product and no sum: what a kernel makes of a weight, rounded once.
TEST(LinearFloatDecode, AUnitVectorReadsTheOraclesWeightsOnEveryIsa) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    if (!is_exact(kind)) continue;
    const int64_t K = kind.depth(288);
    const TestWeight weight = random_weight(kind, 19, K, rng);
    std::vector<double> oracle(static_cast<size_t>(K));
    for (const Isa isa : runnable_isas()) {
      for (const uint32_t dtype : {TSR_F32, TSR_BF16}) {
        // Few rows, and a panel.
        for (const int64_t M : {1, 6, 40}) {
          SCOPED_TRACE(kind.name + " " + isa_name(isa));
          TestTensor x(dtype, M, K);
          for (int64_t m = 0; m < M; ++m) {
            for (int64_t k = 0; k < K; ++k) {
              x.set(m, k, k == m * 7 % K ? 1.0f : 0.0f);
            }
          }
          TestTensor y(TSR_F32, M, 19);
          Linear op;
          op.M = M;
          op.x = x.input();
          op.y = y.output();
          run_linear(weight.linear(), op, isa);
          for (int64_t n = 0; n < 19; ++n) {
            weight.oracle().decode_row(static_cast<uint32_t>(n), oracle);
            for (int64_t m = 0; m < M; ++m) {
              ASSERT_EQ(y.at(m, n), static_cast<float>(
                                        oracle[static_cast<size_t>(m * 7 % K)]))
                  << "m=" << m << " n=" << n << " seed 42";
            }
          }
        }
      }
    }
  }
}

// Every code of eight bits, NaN and infinity among them.
TEST(LinearFloatDecode, ReadsEveryCodeOfEightBits) {
  for (const uint32_t format :
       {TSR_WEIGHT_F8E4M3, TSR_WEIGHT_F8E5M2, TSR_WEIGHT_I8}) {
    const uint32_t dtype = format == TSR_WEIGHT_I8       ? TSR_I8
                           : format == TSR_WEIGHT_F8E4M3 ? TSR_F8E4M3
                                                         : TSR_F8E5M2;
    format::WeightData planes{format, 1, 256, {}};
    format::Plane codes{TSR_PLANE_CODES, dtype, 1, 256, 1, 1, {}, {}};
    for (int i = 0; i < 256; ++i) {
      codes.owned.push_back(static_cast<std::byte>(i));
    }
    format::Plane scale{TSR_PLANE_SCALE, TSR_F32, 1, 1, 1, 256, {}, {}};
    const float one = 1.0f;
    scale.owned.resize(4);
    std::memcpy(scale.owned.data(), &one, 4);
    planes.planes = {codes, scale};
    const TestWeight weight(std::move(planes));
    std::vector<double> oracle(256);
    weight.oracle().decode_row(0, oracle);
    for (const Isa isa : runnable_isas()) {
      for (const int64_t M : {1, 40}) {
        for (size_t k = 0; k < 256; ++k) {
          // A row of one step beside NaN codes would be NaN.
          if (!std::isfinite(oracle[k])) continue;
          TestTensor x(TSR_BF16, M, 256);
          for (int64_t m = 0; m < M; ++m) {
            for (int64_t i = 0; i < 256; ++i) x.set(m, i, 0.0f);
            x.set(m, static_cast<int64_t>(k), 1.0f);
          }
          TestTensor y(TSR_F32, M, 1);
          Linear op;
          op.M = M;
          op.x = x.input();
          op.y = y.output();
          run_linear(weight.linear(), op, isa);
          const bool has_nan = format != TSR_WEIGHT_I8;
          if (has_nan) {
            ASSERT_TRUE(std::isnan(y.at(0, 0)));
          } else {
            ASSERT_EQ(y.at(0, 0), static_cast<float>(oracle[k])) << k;
          }
        }
      }
    }
  }
}

// A chunk holds 256 rows, 64 columns and 256 of K: cross each.
TEST(LinearFloatChunks, ManyRowsAndLongKStayWithinTheBound) {
  for (const Isa isa : runnable_isas()) {
    for (const WeightKindCase& kind : weight_kinds()) {
      if (kind.name != "bf16" && kind.name != "u4_g128" &&
          kind.name != "i8_channel" && kind.name != "f32") {
        continue;
      }
      SCOPED_TRACE(kind.name + " " + isa_name(isa));
      std::mt19937 rng(42);
      const TestWeight weight = random_weight(kind, 70, 600, rng);
      expect_within_bound(weight, {{300, 70, 600}, TSR_BF16, TSR_F32, 18}, isa,
                          rng);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(LinearFloatThreads, GiveTheSameBitsForAnyNumber) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const int64_t K = kind.depth(640);
    const TestWeight weight = random_weight(kind, 200, K, rng);
    for (const int64_t M : {1, 40}) {
      const TestTensor x(TSR_BF16, M, K, rng);
      TestTensor one(TSR_F32, M, 200);
      TestTensor three(TSR_F32, M, 200);
      Linear op;
      op.M = M;
      op.x = x.input();
      for (const Isa isa : best_isas()) {
        op.y = one.output();
        run_linear(weight.linear(), op, isa);
        op.y = three.output();
        const TestThreads threads(3);
        run_linear(weight.linear(), op, isa, threads.parallel());
        EXPECT_EQ(one.values(), three.values()) << kind.name << " M=" << M;
      }
    }
  }
}

// Which rows of the table the cases above reach on this machine.
TEST(LinearKernels, EveryRunnableRowIsSelectedByACase) {
  std::set<std::string> reached;
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const TestWeight weight = random_weight(kind, 16, kind.depth(32), rng);
    for (const Isa isa : runnable_isas()) {
      for (const int64_t M : {1, 17}) {
        for (const bool is_integer : {false, true}) {
          for (const bool is_bf16 : {false, true}) {
            reached.insert(find_linear_kernel(linear_kernels(),
                                              {&weight.linear().shape,
                                               weight.linear().has_dense_rows(),
                                               is_integer, is_bf16, M},
                                              isa)
                               ->name);
          }
        }
      }
    }
  }
  for (const LinearKernel& kernel : linear_kernels()) {
    // Compressed weights are not among these kinds: linear_sparse_test.cpp.
    if (kernel.weight == WeightKind::kSparseTiles) continue;
    if (kernel.isa <= runnable_isas().back()) {
      EXPECT_TRUE(reached.contains(kernel.name)) << kernel.name;
    }
  }
}

// Mapped files promise no alignment for the tensors in them.
TEST(LinearFloatAlignment, DenseRowsMayStartAtAnyByte) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    if (kind.name != "f32" && kind.name != "bf16" && kind.name != "f16") {
      continue;
    }
    TestWeight weight = random_weight(kind, 33, 40, rng);
    const std::span<const std::byte> bytes = weight.planes().planes[0].bytes();
    std::vector<std::byte> shifted(bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
    const auto moved = format::borrow_dense_weight(
        weight.planes().format, 33, 40,
        std::span<const std::byte>(shifted).subspan(1));
    ASSERT_TRUE(moved.ok());
    const TestWeight unaligned{*moved};
    for (const Isa isa : runnable_isas()) {
      SCOPED_TRACE(kind.name + " " + isa_name(isa));
      expect_within_bound(unaligned, {{2, 33, 40}, TSR_F32, TSR_F32, 0}, isa,
                          rng);
    }
  }
}

// Poisoned rows stay alone.
TEST(LinearFloatSpecials, NanAndInfinityReachOnlyTheirRow) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const int64_t K = kind.depth(96);
    const TestWeight weight = random_weight(kind, 20, K, rng);
    for (const Isa isa : runnable_isas()) {
      for (const int64_t M : {3, 9}) {
        TestTensor x(TSR_F32, M, K, rng);
        x.set(1, K - 1, NAN);
        x.set(2, 0, INFINITY);
        TestTensor y(TSR_F32, M, 20);
        Linear op;
        op.M = M;
        op.x = x.input();
        op.y = y.output();
        run_linear(weight.linear(), op, isa);
        for (int64_t n = 0; n < 20; ++n) {
          EXPECT_TRUE(std::isfinite(y.at(0, n))) << kind.name;
          EXPECT_TRUE(std::isnan(y.at(1, n))) << kind.name;
          EXPECT_FALSE(std::isfinite(y.at(2, n))) << kind.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::cpu
