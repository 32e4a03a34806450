// SPDX-License-Identifier: Apache-2.0
//
// Every weight format with every way to read activations, against the oracle.

#include <cmath>
#include <cstring>

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

class DeviceLinear : public testing::TestWithParam<WeightKind> {};

TEST_P(DeviceLinear, IsTheOracleForEveryShape) {
  TSR_OPEN_OR_SKIP(device, {});
  expect_all_shapes(device, GetParam());
}

TEST_P(DeviceLinear, ReadsEveryActivationTypeAndItsOwnQuantizations) {
  TSR_OPEN_OR_SKIP(device, {});
  const WeightKind& kind = GetParam();
  std::mt19937 rng(42);
  auto planes = random_weight(kind, 33, kind.depth(96), rng);
  add_static_activation(planes, 3);
  auto with_bias = planes;  // for integers alone
  add_small_planes(planes, false, rng);
  add_small_planes(with_bias, true, rng);
  std::vector<uint32_t> acts = {TSR_ACT_FLOAT};
  if (has_integer_codes(kind)) {
    acts.insert(acts.end(),
                {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC, TSR_ACT_U8_STATIC,
                 TSR_ACT_I8_MIX, TSR_ACT_I4_DYNAMIC});
  }
  if (kind.depth_multiple > 1) acts.push_back(TSR_ACT_Q8);
  if (kind.name == "f8e4m3" || kind.name == "f8e5m2") {
    acts.push_back(TSR_ACT_F8_DYNAMIC);
  }
  for (const uint32_t act : acts) {
    for (const uint32_t dtype : {TSR_F32, TSR_F16, TSR_BF16}) {
      LinearCase c;
      c.M = act == TSR_ACT_I8_MIX ? 5 : 1 + dtype;
      c.num_decode_tokens = 2;
      if (c.num_decode_tokens > c.M) c.num_decode_tokens = c.M;
      c.act_quant = act;
      c.x_dtype = dtype;
      c.y_dtype = dtype;
      const bool integer = act != TSR_ACT_FLOAT && act <= TSR_ACT_I4_DYNAMIC;
      expect_linear(device, integer ? with_bias : planes, c);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceLinear, testing::ValuesIn(weight_kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST(DeviceLinearEpilogue, IsInTheOrderOfTheNumerics) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  for (const char* name : {"f32", "i8_channel", "u4_g32"}) {
    const auto planes = random_weight(weight_kind(name), 50, 64, rng);
    for (const uint32_t M : {1U, 11U}) {
      for (uint32_t activation = 0; activation <= TSR_EPILOGUE_GELU_TANH;
           ++activation) {
        LinearCase c;
        c.M = M;
        c.act_quant =
            std::string(name) == "f32" ? TSR_ACT_FLOAT : TSR_ACT_I8_DYNAMIC;
        c.activation = activation;
        c.bias = true;
        c.multiplier = activation % 2 == 0;
        c.residual = activation != 2;
        expect_linear(device, planes, c);
        c.n_begin = 19;
        c.n_end = 45;
        expect_linear(device, planes, c);
      }
      LinearCase c;
      c.M = M;
      c.accumulate = true;
      c.y_dtype = TSR_F16;
      expect_linear(device, planes, c);
    }
  }
}

TEST(DeviceLinearSums, AreExactAndAccumulate) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 37, 1100, rng);
  add_static_activation(planes, -100);
  for (const uint32_t M : {1U, 9U}) {
    for (const uint32_t act :
         {TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC, TSR_ACT_I4_DYNAMIC}) {
      LinearCase c;
      c.M = M;
      c.act_quant = act;
      c.y_dtype = TSR_I32;
      expect_linear(device, planes, c);
      c.accumulate = true;
      c.n_begin = 3;
      c.n_end = 34;
      expect_linear(device, planes, c);
    }
  }
}

// The largest sums that f32 must hold exactly where kernels add integers so.
TEST(DeviceLinearSums, AreExactWhereEveryCodeIsExtreme) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  auto planes = random_weight(weight_kind("i8_channel"), 16, 1024, rng);
  for (std::byte& code : planes.find(TSR_PLANE_CODES)->owned) {
    code = std::byte{0x80};  // -128
  }
  add_static_activation(planes, 127);
  LinearCase c;
  c.act_quant = TSR_ACT_I8_STATIC;
  c.y_dtype = TSR_I32;
  for (const uint32_t M : {1U, 8U}) {
    c.M = M;
    expect_linear(device, planes, c);
  }
}

// Codes that no book holds, so that most are escapes, and none in a tile's
// order is far from the next.
TEST(DeviceLinearSparse, IsTheOracleWhereMostCodesAreEscapes) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const auto dense = random_weight(weight_kind("i8_channel"), 300, 200, rng);
  const auto codes = dense.find(TSR_PLANE_CODES)->bytes();
  auto sparse = compressed(
      std::span(reinterpret_cast<const int8_t*>(codes.data()), codes.size()),
      dense);
  add_static_activation(sparse, -5);
  for (const uint32_t act :
       {TSR_ACT_FLOAT, TSR_ACT_I8_DYNAMIC, TSR_ACT_I8_STATIC}) {
    for (const uint32_t M : {1U, 10U, 70U}) {
      LinearCase c;
      c.M = M;
      c.act_quant = act;
      expect_linear(device, sparse, c);
    }
  }
}

// Few escapes, farther from each other than a byte counts; rows without any,
// and some in the first and the last column.
TEST(DeviceLinearSparse, IsTheOracleWhereEscapesAreFarApart) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const uint32_t N = 70;
  const uint32_t K = 1300;
  const auto dense = random_weight(weight_kind("i8_channel"), N, K, rng);
  std::vector<int8_t> codes(size_t{N} * K);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<int8_t>(i % 15);
  }
  for (uint32_t n = 0; n < N; n += 2) {
    for (const uint32_t k : {0U, 255U, 511U, 1299U}) {
      if (rng() % 2 == 0) codes[size_t{n} * K + k] = static_cast<int8_t>(-n);
    }
  }
  const auto sparse = compressed(codes, dense);
  for (const uint32_t M : {1U, 5U, 20U, 40U}) {
    LinearCase c;
    c.M = M;
    c.act_quant = TSR_ACT_I8_DYNAMIC;
    c.y_dtype = TSR_I32;
    expect_linear(device, sparse, c);
  }
}

TEST(DeviceLinearSparse, DamagedTilesAreRefusedByName) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const auto whole = random_weight(weight_kind("sparse"), 300, 200, rng);
  const auto expect_refusal = [&](size_t entry, int64_t offset,
                                  const char* reason) {
    auto damaged = whole;
    std::memcpy(damaged.find(TSR_PLANE_INDEX)->owned.data() + entry * 8,
                &offset, sizeof(offset));
    const Status status = device->load_weight(damaged.view().desc()).status();
    EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
    EXPECT_NE(status.message().find(reason), std::string::npos)
        << status.message();
  };
  expect_refusal(1, 32, "sparse tile 0: bytes 0 to 32 of ");
  expect_refusal(2, int64_t{1} << 40, "sparse tile 1: bytes ");
  expect_refusal(3, -16, "sparse tile 2: bytes ");
}

TEST(DeviceLinearRefusals, NameWhatIsWrong) {
  TSR_OPEN_OR_SKIP(device, {});
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 16, 32, rng);
  const format::WeightView view = planes.view();
  const auto weight = device->load_weight(view.desc());
  ASSERT_TRUE(weight.ok());
  const TestTensor x(*device, TSR_F32, 2, 32, rng);
  const TestTensor y(*device, TSR_F32, 2, 16);
  OpRunner op(device);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.weight = op.program().add_weight(weight->id());
  linear.x = op.add(x);
  linear.y = op.add(y);
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  linear.act_quant = TSR_ACT_I8_STATIC;
  op.program().add_op(linear);
  const Status status = op.run(2);
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
  EXPECT_NE(status.message().find("without planes act_scale"),
            std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace tessera::device_test
