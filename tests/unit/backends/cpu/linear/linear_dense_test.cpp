// SPDX-License-Identifier: Apache-2.0
//
// Many rows, which oneDNN multiplies where it is there.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "backends/cpu/kernels/linear/onednn_matmul.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

TestWeight bf16_weight(int64_t N, int64_t K, std::mt19937& rng) {
  return random_weight({"bf16", {.format = TSR_WEIGHT_BF16}}, N, K, rng);
}

std::vector<float> product(const TestWeight& weight, Linear op,
                           UseOneDnn use_onednn) {
  TestTensor y(TSR_F32, op.M, weight.num_rows() - op.n_begin);
  op.y = y.output();
  const size_t bytes = linear_workspace_bytes({op.M, weight.depth(), 1});
  AlignedBytes workspace(bytes);
  linear(weight.linear(), op, {workspace.data(), bytes},
         {nullptr, best_isa(), use_onednn});
  EXPECT_TRUE(y.gaps_untouched());
  return y.values();
}

// Products take 512 rows and 256 columns; the last of each is smaller.
TEST(LinearDense, StaysWithinTheBoundAcrossItsSplits) {
  constexpr int64_t kN = 300;
  constexpr int64_t kK = 129;
  constexpr int64_t kBegin = 16;
  std::mt19937 rng(42);
  const TestWeight weight = bf16_weight(kN, kK, rng);
  for (const int64_t M : {16, 31, 512, 530}) {
    const TestTensor x(TSR_BF16, M, kK, rng);
    Linear op;
    op.M = M;
    op.x = x.input();
    op.n_begin = kBegin;
    const std::vector<float> y = product(weight, op, UseOneDnn::kAlways);

    const std::vector<float> values = x.values();
    reference::Linear p;
    p.weight = &weight.oracle();
    p.M = static_cast<uint32_t>(M);
    p.x = values.data();
    p.n_begin = kBegin;
    std::vector<double> expected(static_cast<size_t>(M * (kN - kBegin)));
    std::vector<double> magnitudes(expected.size());
    ASSERT_TRUE(reference::linear(p, expected.data()).ok());
    ASSERT_TRUE(reference::linear_magnitudes(p, magnitudes.data()).ok());
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < kN - kBegin; ++j) {
        const auto i = static_cast<size_t>(m * (kN - kBegin) + j);
        // K products are exact or rounded once, then summed in some order.
        ASSERT_NEAR(y[i], expected[i], gamma(kK + 1) * magnitudes[i])
            << "M=" << M << " m=" << m << " j=" << j << " seed 42";
      }
    }
  }
}

// Our own kernels give the oracle's bits (linear_integer_test.cpp), so oneDNN
// must too.
TEST(LinearDense, GivesTheBitsOfOurOwnIntegerKernels) {
  if (best_isa() < Isa::kAvx512Vnni || !has_dense_matmul(TSR_I8)) {
    GTEST_SKIP() << "no oneDNN for int8 here";
  }
  constexpr int64_t kN = 300;
  std::mt19937 rng(42);
  for (const int64_t K : {64, 129, 1000}) {
    const TestWeight random =
        random_weight({"i8", {.format = TSR_WEIGHT_I8}}, kN, K, rng);
    format::WeightData planes = random.planes();
    add_static_activation(planes, 5);
    const TestWeight weight(std::move(planes));
    for (const int64_t M : {16, 31, 530}) {
      const TestTensor x(TSR_BF16, M, K, rng);
      const std::vector<float> bias(kN, 0.25f);
      for (const uint32_t mode :
           {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC, TSR_ACT_U8_STATIC,
            TSR_ACT_I8_MIX, TSR_ACT_I4_DYNAMIC}) {
        Linear op;
        op.M = M;
        op.x = x.input();
        op.n_begin = M == 31 ? 16 : 0;
        op.act_quant = mode;
        op.num_decode_rows = M / 2;
        op.bias = bias.data();
        op.activation = TSR_EPILOGUE_SILU;
        op.y.dtype = TSR_F32;
        ASSERT_STREQ(
            linear_kernel_name(weight.linear(), op,
                               {nullptr, best_isa(), UseOneDnn::kAlways}),
            "linear_i8_i8__onednn");
        ASSERT_EQ(product(weight, op, UseOneDnn::kAlways),
                  product(weight, op, UseOneDnn::kNever))
            << "M=" << M << " K=" << K << " act_quant=" << mode << " seed 42";
      }
    }
  }
}

TEST(LinearDense, ComputesF32WhenAsked) {
  if (!has_dense_matmul(TSR_F32)) GTEST_SKIP() << "no oneDNN for f32 here";
  constexpr int64_t kM = 40;
  constexpr int64_t kN = 300;
  constexpr int64_t kK = 129;
  std::mt19937 rng(42);
  const TestWeight weight =
      random_weight({"f32", {.format = TSR_WEIGHT_F32}}, kN, kK, rng);
  const TestTensor x(TSR_F32, kM, kK, rng);
  Linear op;
  op.M = kM;
  op.x = x.input();
  const std::vector<float> y = product(weight, op, UseOneDnn::kAlways);

  const std::vector<float> values = x.values();
  reference::Linear p;
  p.weight = &weight.oracle();
  p.M = kM;
  p.x = values.data();
  std::vector<double> expected(kM * kN);
  std::vector<double> magnitudes(kM * kN);
  ASSERT_TRUE(reference::linear(p, expected.data()).ok());
  ASSERT_TRUE(reference::linear_magnitudes(p, magnitudes.data()).ok());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(y[i], expected[i], gamma(kK + 1) * magnitudes[i]) << i;
  }
}

// The host owns the threads: oneDNN runs in those that call it.
TEST(LinearDense, StartsNoThreads) {
  const std::filesystem::path tasks = "/proc/self/task";
  if (!std::filesystem::exists(tasks)) GTEST_SKIP() << "no " << tasks;
  if (!has_dense_matmul(TSR_BF16)) GTEST_SKIP() << "no oneDNN for bf16";
  const auto num_threads = [&] {
    return std::distance(std::filesystem::directory_iterator(tasks), {});
  };
  std::mt19937 rng(42);
  const TestWeight weight = bf16_weight(512, 512, rng);
  const TestTensor x(TSR_BF16, 256, 512, rng);
  Linear op;
  op.M = 256;
  op.x = x.input();
  const auto before = num_threads();
  product(weight, op, UseOneDnn::kAlways);
  EXPECT_EQ(num_threads(), before);
}

TEST(LinearDense, NamesTheKernelThatRuns) {
  std::mt19937 rng(42);
  const TestWeight weight = bf16_weight(16, 64, rng);
  Linear op;
  op.M = 64;
  op.x.dtype = TSR_BF16;
  const Exec always{nullptr, best_isa(), UseOneDnn::kAlways};
  const std::string name = linear_kernel_name(weight.linear(), op, always);
  EXPECT_EQ(name == "linear_bf16_bf16__onednn", has_dense_matmul(TSR_BF16))
      << name;
  op.x.dtype = TSR_F32;  // must not be rounded to bf16
  EXPECT_STRNE(linear_kernel_name(weight.linear(), op, always),
               "linear_bf16_bf16__onednn");
}

}  // namespace
}  // namespace tessera::cpu
