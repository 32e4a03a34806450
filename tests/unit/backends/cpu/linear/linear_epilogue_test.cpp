// SPDX-License-Identifier: Apache-2.0
//
// A fused epilogue drops no rounding that the steps by themselves have.

#include <gtest/gtest.h>

#include <bit>

#include "framework/conformance/reference/linear/epilogue.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kM = 7;
constexpr int64_t kN = 37;
constexpr int64_t kK = 96;

struct EpilogueCase {
  bool bias;
  uint32_t activation;
  bool multiplier;
  bool residual;
  uint32_t dtype;  // of multiplier, residual and y
};

std::vector<EpilogueCase> epilogue_cases() {
  std::vector<EpilogueCase> cases;
  constexpr uint32_t kTypes[] = {TSR_F32, TSR_BF16, TSR_F16};
  for (uint32_t i = 0; i < 32; ++i) {
    cases.push_back(
        {(i & 1) != 0, i >> 3, (i & 2) != 0, (i & 4) != 0, kTypes[i % 3]});
  }
  return cases;
}

// Sums first, then the oracle's steps in f32, then one rounding.
void expect_unfused_bits(const TestWeight& weight, uint32_t act_quant,
                         const EpilogueCase& test, Isa isa) {
  std::mt19937 rng(42);
  const int64_t n_begin = 3;
  const int64_t width = kN - n_begin;
  const TestTensor x(TSR_F32, kM, kK, rng);
  const TestTensor bias(TSR_F32, 1, kN, rng);
  const TestTensor multiplier(test.dtype, kM, width, rng);
  const TestTensor residual(test.dtype, kM, width, rng);
  TestTensor sums(TSR_F32, kM, width);
  TestTensor y(test.dtype, kM, width);

  Linear op;
  op.M = kM;
  op.x = x.input();
  op.n_begin = n_begin;
  op.act_quant = act_quant;
  op.y = sums.output();
  run_linear(weight.linear(), op, isa);
  op.y = y.output();
  const std::vector<float> bias_values = bias.values();
  if (test.bias) op.bias = bias_values.data();
  op.activation = test.activation;
  if (test.multiplier) op.multiplier = multiplier.input();
  if (test.residual) op.residual = residual.input();
  run_linear(weight.linear(), op, isa);

  const std::vector<float> factors = multiplier.values();
  const std::vector<float> terms = residual.values();
  const reference::Epilogue epilogue{op.bias, test.activation,
                                     test.multiplier ? factors.data() : nullptr,
                                     test.residual ? terms.data() : nullptr};
  for (int64_t m = 0; m < kM; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      const float expected = rounded_to(
          test.dtype, reference::apply_epilogue(
                          epilogue, static_cast<uint32_t>(n_begin + j),
                          static_cast<size_t>(m * width + j), sums.at(m, j)));
      ASSERT_EQ(std::bit_cast<uint32_t>(y.at(m, j)),
                std::bit_cast<uint32_t>(expected))
          << "m=" << m << " j=" << j;
    }
  }
}

TEST(LinearEpilogue, RoundsLikeTheUnfusedSteps) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"i8", {.format = TSR_WEIGHT_I8}};
  const TestWeight weight = random_weight(kind, kN, kK, rng);
  for (const Isa isa : runnable_isas()) {
    for (const EpilogueCase& test : epilogue_cases()) {
      for (const uint32_t mode : {TSR_ACT_FLOAT, TSR_ACT_I8_DYNAMIC}) {
        SCOPED_TRACE(isa_name(isa));
        expect_unfused_bits(weight, mode, test, isa);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(LinearEpilogue, AccumulateAddsToYInF32AndRoundsOnce) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"bf16", {.format = TSR_WEIGHT_BF16}};
  const TestWeight weight = random_weight(kind, kN, kK, rng);
  for (const Isa isa : runnable_isas()) {
    const TestTensor x(TSR_BF16, kM, kK, rng);
    TestTensor sums(TSR_F32, kM, kN);
    TestTensor y(TSR_BF16, kM, kN, rng);
    const std::vector<float> old = y.values();
    Linear op;
    op.M = kM;
    op.x = x.input();
    op.y = sums.output();
    run_linear(weight.linear(), op, isa);
    op.y = y.output();
    op.accumulate = true;
    run_linear(weight.linear(), op, isa);
    for (int64_t m = 0; m < kM; ++m) {
      for (int64_t n = 0; n < kN; ++n) {
        const float sum = sums.at(m, n) + old[static_cast<size_t>(m * kN + n)];
        ASSERT_EQ(y.at(m, n), rounded_to(TSR_BF16, sum)) << isa_name(isa);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::cpu
