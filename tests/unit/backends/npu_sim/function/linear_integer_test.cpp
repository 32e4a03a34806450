// SPDX-License-Identifier: Apache-2.0
//
// Integer linear: the oracle's bits in `ref`, and in `hw` those of the fixed
// pipe over the oracle's accumulators.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "backends/npu_sim/function/linear/linear.hpp"
#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "tessera/error.hpp"
#include "tests/unit/backends/npu_sim/function/test_tensor.hpp"

namespace tessera::npu {
namespace {

struct IntegerCase {
  Shape shape;
  uint32_t act_quant;
  uint32_t x_dtype;
  uint32_t y_dtype;
  int64_t n_begin;
};

reference::Linear oracle_case(const reference::Weight& weight,
                              const IntegerCase& test,
                              const std::vector<float>& x) {
  reference::Linear p;
  p.weight = &weight;
  p.M = static_cast<uint32_t>(test.shape.M);
  p.x = x.data();
  p.n_begin = static_cast<uint32_t>(test.n_begin);
  p.n_end = static_cast<uint32_t>(test.shape.N);
  p.act_quant = test.act_quant;
  p.num_decode_tokens = p.M / 2;
  return p;
}

Linear our_case(const IntegerCase& test, const TestTensor& x, TestTensor& y) {
  Linear op;
  op.M = test.shape.M;
  op.x = x.input();
  op.y = y.output();
  op.n_begin = test.n_begin;
  op.n_end = test.shape.N;
  op.act_quant = test.act_quant;
  op.num_decode_rows = test.shape.M / 2;
  return op;
}

void make_special(TestTensor& x, const Shape& shape) {
  if (shape.M < 5) return;
  x.set(1, shape.K - 1, NAN);
  x.set(2, 0, -INFINITY);
  for (int64_t k = 0; k < shape.K; ++k) {
    x.set(3, k, 0x1p-101f);
    x.set(4, k, k % 2 == 0 ? 3.0e38f : -3.0e38f);
  }
}

void expect_same(float actual, float expected, const IntegerCase& test,
                 int64_t m, int64_t j) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << "m=" << m << " j=" << j;
    return;
  }
  ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected))
      << actual << " not " << expected << " at m=" << m << " j=" << j
      << " M=" << test.shape.M << " N=" << test.shape.N << " K=" << test.shape.K
      << " act " << test.act_quant << " seed 42";
}

const reference::Weight& opened(Result<reference::Weight>& weight) {
  if (!weight.ok()) std::abort();
  return *weight;
}

void expect_oracle_bits(const format::WeightData& planes,
                        const IntegerCase& test, std::mt19937& rng) {
  const auto view = planes.view();
  const IntegerWeight weight = make_integer_weight(view.desc());
  auto oracle = reference::Weight::open(planes);
  const int64_t width = test.shape.N - test.n_begin;
  TestTensor x(test.x_dtype, test.shape.M, test.shape.K, rng);
  make_special(x, test.shape);
  TestTensor y(test.y_dtype, test.shape.M, width);
  LinearScratch scratch;
  linear(weight, our_case(test, x, y), {true, Numerics::kRef}, scratch, {});
  ASSERT_TRUE(y.gaps_untouched());
  const std::vector<float> values = x.values();
  std::vector<float> expected(static_cast<size_t>(test.shape.M * width));
  const Status status = reference::linear(
      oracle_case(opened(oracle), test, values), expected.data());
  ASSERT_TRUE(status.ok()) << status.message();
  for (int64_t m = 0; m < test.shape.M; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      const float value = expected[static_cast<size_t>(m * width + j)];
      expect_same(y.at(m, j), rounded_to(test.y_dtype, value), test, m, j);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

// In hardware a row of static codes of a per-channel weight leaves through
// DEQF16: cut scale, f16; others are as in the reference.
void expect_hardware_bits(const format::WeightData& planes,
                          const IntegerCase& test, std::mt19937& rng) {
  const auto view = planes.view();
  const IntegerWeight weight = make_integer_weight(view.desc());
  auto oracle = reference::Weight::open(planes);
  const int64_t width = test.shape.N - test.n_begin;
  const TestTensor x(test.x_dtype, test.shape.M, test.shape.K, rng);
  TestTensor y(test.y_dtype, test.shape.M, width);
  LinearScratch scratch;
  linear(weight, our_case(test, x, y), {true, Numerics::kHw}, scratch, {});
  const std::vector<float> values = x.values();
  const reference::Linear p = oracle_case(opened(oracle), test, values);
  std::vector<float> whole(static_cast<size_t>(test.shape.M * width));
  std::vector<int32_t> acc(whole.size());
  ASSERT_TRUE(reference::linear(p, whole.data()).ok());
  ASSERT_TRUE(reference::linear_accumulators(p, acc.data()).ok());
  const float act_scale = oracle->static_activation()->scale;
  for (int64_t m = 0; m < test.shape.M; ++m) {
    const bool is_static =
        test.act_quant == TSR_ACT_I8_STATIC ||
        (test.act_quant == TSR_ACT_I8_MIX && m < int64_t{p.num_decode_tokens});
    for (int64_t j = 0; j < width; ++j) {
      const auto i = static_cast<size_t>(m * width + j);
      float expected = whole[i];
      if (is_static && test.y_dtype != TSR_BF16) {
        const auto n = static_cast<uint32_t>(test.n_begin + j);
        const float scale = act_scale * oracle->scale(n, 0);
        const float cut =
            std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & 0xFFFFE000U);
        const float product = static_cast<float>(acc[i]) * cut;
        expected = rounded_to_half(Half::kF16,
                                   std::clamp(product, -65504.0f, 65504.0f));
      }
      expect_same(y.at(m, j), rounded_to(test.y_dtype, expected), test, m, j);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

void expect_oracle_accumulators(const format::WeightData& planes,
                                const IntegerCase& test, std::mt19937& rng) {
  const auto view = planes.view();
  const IntegerWeight weight = make_integer_weight(view.desc());
  auto oracle = reference::Weight::open(planes);
  const int64_t width = test.shape.N - test.n_begin;
  const TestTensor x(test.x_dtype, test.shape.M, test.shape.K, rng);
  TestTensor y(TSR_I32, test.shape.M, width);
  LinearScratch scratch;
  linear(weight, our_case(test, x, y), {}, scratch, {});
  const std::vector<float> values = x.values();
  std::vector<int32_t> acc(static_cast<size_t>(test.shape.M * width));
  ASSERT_TRUE(reference::linear_accumulators(
                  oracle_case(opened(oracle), test, values), acc.data())
                  .ok());
  for (int64_t m = 0; m < test.shape.M; ++m) {
    for (int64_t j = 0; j < width; ++j) {
      ASSERT_EQ(y.integer_at(m, j), acc[static_cast<size_t>(m * width + j)]);
    }
  }
}

std::vector<format::WeightScheme> integer_schemes() {
  return {{.format = TSR_WEIGHT_I8},
          {.format = TSR_WEIGHT_I8, .per_tensor = true},
          {.format = TSR_WEIGHT_I4},
          {.format = TSR_WEIGHT_I4, .group_size = 32},
          {.format = TSR_WEIGHT_I4, .group_size = 64, .two_level = true},
          {.format = TSR_WEIGHT_U4, .group_size = 32, .symmetric = false}};
}

constexpr uint32_t kTypes[] = {TSR_F32, TSR_BF16, TSR_F16};
constexpr uint32_t kModes[] = {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC,
                               TSR_ACT_U8_STATIC, TSR_ACT_I8_MIX,
                               TSR_ACT_I4_DYNAMIC};
constexpr int32_t kZeroPoints[] = {0, 5, 127};

TEST(NpuLinearInteger, GivesTheOraclesBits) {
  std::mt19937 rng(42);
  for (const format::WeightScheme& scheme : integer_schemes()) {
    size_t i = 0;
    for (const Shape& shape : edge_shapes()) {
      format::WeightData planes = random_planes(scheme, shape, rng);
      add_static_activation(planes, kZeroPoints[i % 3]);
      const IntegerCase test{shape, kModes[i % 5], kTypes[i % 3],
                             kTypes[i / 3 % 3], i % 2 == 0 ? 0 : shape.N / 3};
      expect_oracle_bits(planes, test, rng);
      if (HasFatalFailure()) return;
      ++i;
    }
  }
}

TEST(NpuLinearInteger, LeavesThroughTheFixedPipeInHardwareNumerics) {
  std::mt19937 rng(42);
  size_t i = 0;
  for (const Shape& shape : edge_shapes()) {
    for (const uint32_t mode :
         {TSR_ACT_I8_STATIC, TSR_ACT_I8_MIX, TSR_ACT_I8_DYNAMIC}) {
      format::WeightData planes =
          random_planes({.format = TSR_WEIGHT_I8}, shape, rng);
      add_static_activation(planes, 3);
      expect_hardware_bits(planes, {shape, mode, TSR_F32, kTypes[i++ % 3], 0},
                           rng);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(NpuLinearInteger, HandsOutRawAccumulators) {
  std::mt19937 rng(42);
  for (const Shape& shape : edge_shapes()) {
    format::WeightData planes =
        random_planes({.format = TSR_WEIGHT_I8}, shape, rng);
    add_static_activation(planes, -7);
    expect_oracle_accumulators(
        planes, {shape, TSR_ACT_I8_STATIC, TSR_F32, TSR_I32, 0}, rng);
    if (HasFatalFailure()) return;
  }
}

TEST(NpuLinearInteger, ExpandsSparseTiles) {
  std::mt19937 rng(42);
  for (const Shape& shape :
       {Shape{1, 1, 1}, Shape{5, 255, 127}, Shape{2, 256, 128},
        Shape{3, 257, 129}, Shape{1, 600, 300}}) {
    std::vector<int8_t> codes(static_cast<size_t>(shape.N * shape.K));
    for (int8_t& code : codes) {
      code =
          static_cast<int8_t>(rng() % 40 == 0 ? rng() % 256 : rng() % 15 - 7);
    }
    format::Plane scale;
    scale.role = TSR_PLANE_SCALE;
    scale.dtype = TSR_F32;
    scale.rows = static_cast<uint32_t>(shape.N);
    scale.cols = 1;
    scale.block_n = 1;
    scale.block_k = static_cast<uint32_t>(shape.K);
    std::vector<float> scales(static_cast<size_t>(shape.N), 0.01f);
    const auto bytes = std::as_bytes(std::span(scales));
    scale.owned.assign(bytes.begin(), bytes.end());
    auto tiles = format::encode_sparse_fixed(
        static_cast<uint32_t>(shape.N), static_cast<uint32_t>(shape.K), codes);
    ASSERT_TRUE(tiles.ok()) << tiles.status().message();
    auto planes = format::sparse_fixed_weight(std::move(*tiles), scale);
    ASSERT_TRUE(planes.ok()) << planes.status().message();
    expect_oracle_bits(*planes,
                       {shape, TSR_ACT_I8_DYNAMIC, TSR_F32, TSR_F32, 0}, rng);
    if (HasFatalFailure()) return;

    // A tile cut short is data loss, not a crash.
    auto* index = planes->find(TSR_PLANE_INDEX);
    ASSERT_NE(index, nullptr);
    std::vector<std::byte> owned(index->bytes().begin(), index->bytes().end());
    owned[8] = std::byte{1};
    for (size_t b = 9; b < 16; ++b) owned[b] = std::byte{0};
    index->owned = owned;
    const auto view = planes->view();
    EXPECT_THROW(make_integer_weight(view.desc()), sdk::Error);
  }
}

TEST(NpuLinearInteger, AppliesTheEpilogueInOrder) {
  std::mt19937 rng(42);
  const Shape shape{5, 35, 64};
  const format::WeightData planes =
      random_planes({.format = TSR_WEIGHT_I8}, shape, rng);
  const auto view = planes.view();
  const IntegerWeight weight = make_integer_weight(view.desc());
  auto oracle = reference::Weight::open(planes);
  const TestTensor x(TSR_F32, 5, 64, rng);
  const TestTensor multiplier(TSR_F16, 5, 35, rng);
  const TestTensor residual(TSR_F32, 5, 35, rng);
  std::vector<float> bias(35);
  for (float& b : bias) b = static_cast<float>(rng() % 100) * 0.01f;
  for (const uint32_t activation :
       {TSR_EPILOGUE_NONE, TSR_EPILOGUE_SILU, TSR_EPILOGUE_GELU_ERF,
        TSR_EPILOGUE_GELU_TANH}) {
    const IntegerCase test{shape, TSR_ACT_I8_DYNAMIC, TSR_F32, TSR_F32, 0};
    TestTensor y(TSR_F32, 5, 35);
    Linear op = our_case(test, x, y);
    op.bias = bias.data();
    op.activation = activation;
    op.multiplier = multiplier.input();
    op.residual = residual.input();
    LinearScratch scratch;
    linear(weight, op, {}, scratch, {});
    const std::vector<float> values = x.values();
    const std::vector<float> multipliers = multiplier.values();
    const std::vector<float> residuals = residual.values();
    reference::Linear p = oracle_case(opened(oracle), test, values);
    p.epilogue = {bias.data(), activation, multipliers.data(),
                  residuals.data()};
    std::vector<float> expected(5 * 35);
    ASSERT_TRUE(reference::linear(p, expected.data()).ok());
    EXPECT_EQ(y.values(), expected) << activation;
  }
}

TEST(NpuLinearInteger, RefusesWhatCouldOverflow) {
  std::mt19937 rng(42);
  const Shape shape{1, 1, 132105};
  const format::WeightData planes =
      random_planes({.format = TSR_WEIGHT_I8}, shape, rng);
  const auto view = planes.view();
  const IntegerWeight weight = make_integer_weight(view.desc());
  const TestTensor x(TSR_F32, 1, shape.K, rng);
  TestTensor y(TSR_F32, 1, 1);
  LinearScratch scratch;
  const IntegerCase test{shape, TSR_ACT_I8_DYNAMIC, TSR_F32, TSR_F32, 0};
  try {
    linear(weight, our_case(test, x, y), {}, scratch, {});
    FAIL() << "was taken";
  } catch (const sdk::Error& error) {
    EXPECT_STREQ(error.what(),
                 "linear: K=132105 could overflow an i32 accumulator; at most "
                 "132104 in a group");
  }
}

}  // namespace
}  // namespace tessera::npu
