// SPDX-License-Identifier: Apache-2.0
//
// Integer linear: the bits of numerics.md section 1 on every ISA.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "tests/unit/backends/cpu/linear/linear_case.hpp"
#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

struct IntegerCase {
  Shape shape;
  uint32_t act_quant;
  uint32_t x_dtype;
  uint32_t y_dtype;
  int64_t n_begin;
};

reference::Linear oracle_case(const TestWeight& weight, const IntegerCase& test,
                              const std::vector<float>& x) {
  reference::Linear p;
  p.weight = &weight.oracle();
  p.M = static_cast<uint32_t>(test.shape.M);
  p.x = x.data();
  p.n_begin = static_cast<uint32_t>(test.n_begin);
  p.n_end = static_cast<uint32_t>(test.shape.N);
  p.act_quant = test.act_quant;
  p.num_decode_tokens = p.M / 2;
  return p;
}

Linear our_case(const IntegerCase& test, ConstRows x, Rows y) {
  Linear op;
  op.M = test.shape.M;
  op.x = x;
  op.y = y;
  op.n_begin = test.n_begin;
  op.n_end = test.shape.N;
  op.act_quant = test.act_quant;
  op.num_decode_rows = test.shape.M / 2;
  return op;
}

void expect_same_bits(float actual, float expected, const std::string& where) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << where;
  } else {
    ASSERT_EQ(std::bit_cast<uint32_t>(actual),
              std::bit_cast<uint32_t>(expected))
        << where << ": " << actual << ", not " << expected;
  }
}

// Rows 0 and up also try what is special: NaN, infinity, amax below 2^-100, and
// the largest values.
void make_special(TestTensor& x, const Shape& shape) {
  if (shape.M >= 5) {
    x.set(1, shape.K - 1, NAN);
    x.set(2, 0, -INFINITY);
    for (int64_t k = 0; k < shape.K; ++k) {
      x.set(3, k, 0x1p-101f);
      x.set(4, k, k % 2 == 0 ? 3.0e38f : -3.0e38f);
    }
  }
}

void expect_oracle_bits(const TestWeight& weight, const IntegerCase& test,
                        Isa isa, std::mt19937& rng) {
  const Shape& s = test.shape;
  const int64_t width = s.N - test.n_begin;
  TestTensor x(test.x_dtype, s.M, s.K, rng);
  make_special(x, s);
  TestTensor y(test.y_dtype, s.M, width);
  run_linear(weight.linear(), our_case(test, x.input(), y.output()), isa);
  ASSERT_TRUE(y.gaps_untouched());

  const std::vector<float> values = x.values();
  std::vector<float> expected(static_cast<size_t>(s.M * width));
  const Status status =
      reference::linear(oracle_case(weight, test, values), expected.data());
  ASSERT_TRUE(status.ok()) << status.message();
  for (int64_t m = 0; m < s.M; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      const float value = expected[static_cast<size_t>(m * width + j)];
      expect_same_bits(
          y.at(m, j), rounded_to(test.y_dtype, value),
          "m=" + std::to_string(m) + " n=" + std::to_string(test.n_begin + j) +
              " M=" + std::to_string(s.M) + " N=" + std::to_string(s.N) +
              " K=" + std::to_string(s.K) + " seed 42");
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

void expect_oracle_accumulators(const TestWeight& weight,
                                const IntegerCase& test, Isa isa,
                                std::mt19937& rng) {
  const Shape& s = test.shape;
  const int64_t width = s.N - test.n_begin;
  const TestTensor x(test.x_dtype, s.M, s.K, rng);
  std::vector<int32_t> y(static_cast<size_t>(s.M * (width + 3)), 7);
  Linear op = our_case(test, x.input(), {y.data(), TSR_I32, width + 3});
  op.accumulate = true;
  run_linear(weight.linear(), op, isa);

  const std::vector<float> values = x.values();
  std::vector<int32_t> expected(static_cast<size_t>(s.M * width));
  const Status status = reference::linear_accumulators(
      oracle_case(weight, test, values), expected.data());
  ASSERT_TRUE(status.ok()) << status.message();
  for (int64_t m = 0; m < s.M; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      ASSERT_EQ(y[static_cast<size_t>(m * (width + 3) + j)],
                7 + expected[static_cast<size_t>(m * width + j)])
          << "m=" << m << " n=" << test.n_begin + j << " K=" << s.K;
    }
  }
}

bool has_integers(const WeightKindCase& kind) {
  switch (kind.scheme.format) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return true;
    default:
      return false;
  }
}

std::vector<WeightKindCase> integer_kinds() {
  std::vector<WeightKindCase> kinds;
  for (const WeightKindCase& kind : weight_kinds()) {
    if (has_integers(kind)) kinds.push_back(kind);
  }
  return kinds;
}

TestWeight static_weight(const WeightKindCase& kind, const Shape& shape,
                         int32_t zero_point, std::mt19937& rng) {
  const TestWeight weight = random_weight(kind, shape.N, shape.K, rng);
  format::WeightData planes = weight.planes();
  add_static_activation(planes, zero_point);
  return TestWeight(std::move(planes));
}

class LinearInteger : public testing::TestWithParam<WeightKindCase> {};

TEST_P(LinearInteger, GivesTheOraclesBitsOnEveryIsa) {
  constexpr uint32_t kTypes[] = {TSR_F32, TSR_BF16, TSR_F16};
  constexpr uint32_t kModes[] = {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC,
                                 TSR_ACT_U8_STATIC, TSR_ACT_I8_MIX,
                                 TSR_ACT_I4_DYNAMIC};
  constexpr int32_t kZeroPoints[] = {0, 5, 127};
  for (const Isa isa : runnable_isas()) {
    SCOPED_TRACE(isa_name(isa));
    std::mt19937 rng(42);
    size_t i = 0;
    for (const Shape& shape : edge_shapes(1)) {
      const TestWeight weight =
          static_weight(GetParam(), shape, kZeroPoints[i % 3], rng);
      const IntegerCase test{shape, kModes[i % 5], kTypes[i % 3],
                             kTypes[i / 3 % 3], i % 2 == 0 ? 0 : shape.N / 3};
      expect_oracle_bits(weight, test, isa, rng);
      if (HasFatalFailure()) return;
      if (weight.oracle().group_size() >= weight.depth() &&
          !weight.oracle().has_scale2()) {
        expect_oracle_accumulators(weight, test, isa, rng);
        if (HasFatalFailure()) return;
      }
      ++i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LinearInteger,
                         testing::ValuesIn(integer_kinds()),
                         [](const auto& param) { return param.param.name; });

// Codes of +-127 and weights of -128 .. 127 everywhere: pairs of products do
// not fit an i16, which is where vpmaddubsw would saturate.
TEST(LinearIntegerExtremes, DoNotSaturate) {
  constexpr int64_t kK = 260;
  constexpr int64_t kN = 18;
  format::WeightData planes{TSR_WEIGHT_I8, kN, kK, {}};
  format::Plane codes{TSR_PLANE_CODES, TSR_I8, kN, kK, 1, 1, {}, {}};
  for (int64_t i = 0; i < kN * kK; ++i) {
    codes.owned.push_back(i / kK % 3 == 0 ? std::byte{0x80} : std::byte{0x7f});
  }
  format::Plane scales{TSR_PLANE_SCALE, TSR_F32, kN, 1, 1, kK, {}, {}};
  scales.owned.resize(kN * 4);
  const float one = 1.0f;
  for (size_t n = 0; n < kN; ++n) {
    std::memcpy(scales.owned.data() + 4 * n, &one, 4);
  }
  planes.planes = {codes, scales};
  add_static_activation(planes, -128);
  const TestWeight weight(std::move(planes));

  TestTensor x(TSR_F32, 3, kK);
  for (int64_t k = 0; k < kK; ++k) {
    x.set(0, k, 100.0f);
    x.set(1, k, -100.0f);
    x.set(2, k, k % 2 == 0 ? 100.0f : -100.0f);
  }
  for (const uint32_t mode : {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC}) {
    for (const Isa isa : runnable_isas()) {
      SCOPED_TRACE(isa_name(isa));
      std::vector<int32_t> y(3 * kN);
      Linear op;
      op.M = 3;
      op.x = x.input();
      op.y = {y.data(), TSR_I32, kN};
      op.act_quant = mode;
      run_linear(weight.linear(), op, isa);
      const int32_t hi = mode == TSR_ACT_I8_STATIC ? 255 : 127;
      const int32_t lo = mode == TSR_ACT_I8_STATIC ? 0 : -127;
      EXPECT_EQ(y[0], hi * -128 * kK);
      EXPECT_EQ(y[1], hi * 127 * kK);
      EXPECT_EQ(y[kN], lo * -128 * kK);
      EXPECT_EQ(y[2 * kN], (hi + lo) * -128 * kK / 2);
    }
  }
}

TEST(LinearIntegerThreads, GiveTheSameBitsForAnyNumber) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : integer_kinds()) {
    const TestWeight weight = random_weight(kind, 150, 512, rng);
    const TestTensor x(TSR_F32, 300, 512, rng);
    TestTensor one(TSR_F32, 300, 150);
    TestTensor three(TSR_F32, 300, 150);
    Linear op;
    op.M = 300;
    op.x = x.input();
    op.act_quant = TSR_ACT_I8_DYNAMIC;
    for (const Isa isa : best_isas()) {
      op.y = one.output();
      run_linear(weight.linear(), op, isa);
      op.y = three.output();
      const TestThreads threads(3);
      run_linear(weight.linear(), op, isa, threads.parallel());
      EXPECT_EQ(one.values(), three.values()) << kind.name;
    }
  }
}

TEST(LinearIntegerOverflow, RefusesAGroupThatCouldOverflow) {
  WeightShape shape;
  shape.format = TSR_WEIGHT_I8;
  // 2^31 - 1 over 127 * 128, over 255 * 128, and over 128 * 128.
  EXPECT_EQ(max_integer_depth(shape, TSR_ACT_I8_DYNAMIC, 0), 132104);
  EXPECT_EQ(max_integer_depth(shape, TSR_ACT_I8_STATIC, -128), 65793);
  EXPECT_EQ(max_integer_depth(shape, TSR_ACT_I8_STATIC, 0), 131071);

  constexpr uint32_t kLongK = 132105;
  std::mt19937 rng(42);
  const TestWeight weight =
      random_weight({"i8", {.format = TSR_WEIGHT_I8}}, 1, kLongK, rng);
  const TestTensor x(TSR_F32, 1, kLongK, rng);
  TestTensor y(TSR_F32, 1, 1);
  Linear op;
  op.M = 1;
  op.x = x.input();
  op.y = y.output();
  op.act_quant = TSR_ACT_I8_DYNAMIC;
  try {
    run_linear(weight.linear(), op, best_isa());
    FAIL() << "K=" << kLongK << " was taken";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT);
    EXPECT_STREQ(error.what(),
                 "linear: K=132105 could overflow an i32 accumulator; at most "
                 "132104 in a group");
  }
}

}  // namespace
}  // namespace tessera::cpu
