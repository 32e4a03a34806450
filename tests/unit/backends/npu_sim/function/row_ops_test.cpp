// SPDX-License-Identifier: Apache-2.0
//
// The small ops lie within 8 units in the last place of the oracle, in every
// type; ops without a function have its bits.

#include "backends/npu_sim/function/row_ops.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "tessera/error.hpp"
#include "tessera/portable_math.h"
#include "tests/unit/backends/npu_sim/function/test_tensor.hpp"

namespace tessera::npu {
namespace {

constexpr uint32_t kTypes[] = {TSR_F32, TSR_F16, TSR_BF16};
constexpr int64_t kWidths[] = {1, 63, 64, 65, 200};
constexpr int64_t kRows = 3;

void expect_close(const TestTensor& y, const std::vector<double>& expected,
                  uint32_t dtype, double magnitude) {
  const std::vector<float> actual = y.values();
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::fabs(actual[i] - expected[i]),
              reference::float_bound(expected[i], dtype, magnitude))
        << "element " << i;
  }
}

TEST(NpuRowOps, NormalizeLikeTheOracle) {
  std::mt19937 rng(42);
  for (const uint32_t dtype : kTypes) {
    for (const int64_t D : kWidths) {
      const TestTensor x(dtype, kRows, D, rng);
      const TestTensor weight(TSR_F32, 1, D, rng);
      const TestTensor bias(TSR_F32, 1, D, rng);
      TestTensor y(dtype, kRows, D);
      const std::vector<float> values = x.values();
      const std::vector<float> weights = weight.values();
      const std::vector<float> biases = bias.values();
      const auto width = static_cast<size_t>(D);
      reference::Norm p{kRows,          width,   values.data(),
                        weights.data(), nullptr, 1e-5f};
      std::vector<double> expected(values.size());
      reference::rms_norm(p, expected.data());
      run(RmsNorm{kRows, D, x.input(), y.output(), weight.input(), 1e-5f}, {});
      expect_close(y, expected, dtype, 0.0);
      if (D == 1) continue;  // the variance is rounding alone
      p.bias = biases.data();
      reference::layer_norm(p, expected.data());
      run(LayerNorm{kRows, D, x.input(), y.output(), weight.input(),
                    bias.input(), 1e-5f},
          {});
      expect_close(y, expected, dtype, 8.0);
    }
  }
}

TEST(NpuRowOps, MapElementsLikeTheOracle) {
  std::mt19937 rng(42);
  for (const uint32_t dtype : kTypes) {
    const TestTensor a(dtype, kRows, 65, rng);
    const TestTensor b(dtype, kRows, 65, rng);
    const auto map = [&](MapKind kind, const auto& function) {
      TestTensor y(dtype, kRows, 65);
      run(Map{kind, kRows, 65, a.input(), b.input(), y.output()}, {});
      std::vector<double> expected;
      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t i = 0; i < 65; ++i) {
          expected.push_back(function(a.at(r, i), b.at(r, i)));
        }
      }
      expect_close(y, expected, dtype, 4.0);
    };
    map(MapKind::kAdd, [](double x, double y) { return x + y; });
    map(MapKind::kSiluMul,
        [](double x, double y) { return reference::silu(x) * y; });
    map(MapKind::kGeluErf,
        [](double x, double) { return reference::gelu_erf(x); });
    map(MapKind::kGeluTanh,
        [](double x, double) { return reference::gelu_tanh(x); });
  }
}

TEST(NpuRowOps, SoftmaxSumsToOne) {
  std::mt19937 rng(42);
  for (const int64_t D : kWidths) {
    const TestTensor x(TSR_F32, kRows, D, rng);
    TestTensor y(TSR_F32, kRows, D);
    run(Softmax{kRows, D, x.input(), y.output(), 0.7f}, {});
    for (int64_t r = 0; r < kRows; ++r) {
      double total = 0;
      double exact = 0;
      for (int64_t i = 0; i < D; ++i) exact += std::exp(0.7 * x.at(r, i));
      for (int64_t i = 0; i < D; ++i) {
        total += y.at(r, i);
        const double expected = std::exp(0.7 * x.at(r, i)) / exact;
        // Errors of the argument, exp, the sum and the division.
        ASSERT_NEAR(y.at(r, i), expected, 16 * 0x1p-24 * expected);
      }
      ASSERT_NEAR(total, 1.0, 1e-5);
    }
  }
}

TEST(NpuRowOps, RotateAndGather) {
  std::mt19937 rng(42);
  const TestTensor x(TSR_F32, 2, 2 * 8, rng);
  TestTensor y(TSR_F32, 2, 2 * 8);
  std::vector<float> table(5 * 6);
  for (float& value : table) value = static_cast<float>(rng() % 100) * 0.01f;
  const int32_t positions[] = {4, 1};
  Rope op{2,
          2,
          8,
          x.input(),
          y.output(),
          positions,
          table.data(),
          5,
          6,
          TSR_ROPE_HALF};
  run(op, {});
  for (int64_t r = 0; r < 2; ++r) {
    const float* row = table.data() + positions[r] * 6;
    for (int64_t h = 0; h < 16; h += 8) {
      for (int64_t i = 0; i < 3; ++i) {
        const float x0 = x.at(r, h + i);
        const float x1 = x.at(r, h + 3 + i);
        const float a = x0 * row[i];
        const float b = x1 * row[3 + i];
        ASSERT_EQ(y.at(r, h + i), a - b);
        const float c = x1 * row[i];
        const float d = x0 * row[3 + i];
        ASSERT_EQ(y.at(r, h + 3 + i), c + d);
      }
      ASSERT_EQ(y.at(r, h + 6), x.at(r, h + 6));
    }
  }
  const int32_t bad[] = {5, 0};
  op.positions = bad;
  EXPECT_THROW(run(op, {}), sdk::Error);

  const TestTensor rows(TSR_BF16, 4, 10, rng);
  TestTensor out(TSR_F32, 3, 10);
  const int32_t ids[] = {3, 0, 3};
  run(Gather{3, 10, 4, rows.input(), ids, out.output()}, {});
  for (int64_t i = 0; i < 10; ++i) {
    ASSERT_EQ(out.at(0, i), rows.at(3, i));
    ASSERT_EQ(out.at(1, i), rows.at(0, i));
  }
  const int32_t outside[] = {3, 4, 3};
  EXPECT_THROW(run(Gather{3, 10, 4, rows.input(), outside, out.output()}, {}),
               sdk::Error);
}

}  // namespace
}  // namespace tessera::npu
