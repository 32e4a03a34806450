// SPDX-License-Identifier: Apache-2.0
//
// The small ops follow tessera/portable_math.h bit for bit.

#include <gmock/gmock.h>

#include <cmath>

#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "tessera/portable_math.h"
#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {
namespace {

using testing::HasSubstr;

constexpr uint32_t kDtypes[] = {TSR_F32, TSR_F16, TSR_BF16};
// A vector of 16: one below, itself, one above; the 64 lanes of a sum; a model.
constexpr uint32_t kWidths[] = {1, 15, 16, 17, 63, 64, 65, 288};

class DeviceRowOps : public testing::Test {
 protected:
  std::mt19937 rng_{42};
};

// Each y within float_bound of the double-precision oracle.
void expect_close(const TestTensor& y, const std::vector<double>& wanted,
                  double magnitude, const std::string& what) {
  for (uint32_t r = 0; r < y.rows(); ++r) {
    for (uint32_t c = 0; c < y.cols(); ++c) {
      const double value = wanted[size_t{r} * y.cols() + c];
      const double bound = reference::float_bound(value, y.dtype(), magnitude);
      ASSERT_NEAR(y.at(r, c), value, bound) << what << " " << r << " " << c;
    }
  }
  EXPECT_TRUE(y.gaps_untouched()) << what;
}

TEST_F(DeviceRowOps, RmsNormIsWithinItsBound) {
  TSR_OPEN_OR_SKIP(device, {});
  for (const uint32_t dtype : kDtypes) {
    for (const uint32_t D : kWidths) {
      const TestTensor x(*device, dtype, 5, D, rng_);
      const TestTensor weight(*device, TSR_F32, 1, D, rng_, 0);
      const TestTensor y(*device, dtype, 5, D);
      OpRunner op(device);
      tsr_op_norm norm{};
      norm.op.kind = TSR_OP_RMS_NORM;
      norm.x = op.add(x);
      norm.y = op.add(y);
      norm.weight = op.add(weight, TSR_DIM_FIXED);
      norm.bias = TSR_NONE;
      norm.eps = 1e-5f;
      op.program().add_op(norm);
      ASSERT_TRUE(op.run(5).ok());
      const auto in = x.values();
      const auto scale = weight.values();
      std::vector<double> wanted(in.size());
      reference::rms_norm(
          reference::Norm{5, D, in.data(), scale.data(), nullptr, 1e-5f},
          wanted.data());
      expect_close(y, wanted, 0.0, "D " + std::to_string(D));
    }
  }
}

TEST_F(DeviceRowOps, LayerNormIsWithinItsBound) {
  TSR_OPEN_OR_SKIP(device, {});
  for (const uint32_t D : kWidths) {
    const TestTensor x(*device, TSR_F32, 3, D, rng_);
    const TestTensor weight(*device, TSR_F16, 1, D, rng_, 0);
    const TestTensor bias(*device, TSR_BF16, 1, D, rng_, 0);
    const TestTensor y(*device, TSR_F32, 3, D);
    OpRunner op(device);
    tsr_op_norm norm{};
    norm.op.kind = TSR_OP_LAYER_NORM;
    norm.x = op.add(x);
    norm.y = op.add(y);
    norm.weight = op.add(weight, TSR_DIM_FIXED);
    norm.bias = op.add(bias, TSR_DIM_FIXED);
    norm.eps = 1e-5f;
    op.program().add_op(norm);
    ASSERT_TRUE(op.run(3).ok());
    const auto in = x.values();
    const auto scale = weight.values();
    const auto shift = bias.values();
    std::vector<double> wanted(in.size());
    reference::layer_norm(
        reference::Norm{3, D, in.data(), scale.data(), shift.data(), 1e-5f},
        wanted.data());
    // Terms are at most 4 standard deviations times a weight of at most 5.
    expect_close(y, wanted, 20.0, "D " + std::to_string(D));
  }
}

TEST_F(DeviceRowOps, SoftmaxIsWithinItsBound) {
  TSR_OPEN_OR_SKIP(device, {});
  for (const uint32_t D : kWidths) {
    const TestTensor x(*device, TSR_F32, 3, D, rng_);
    const TestTensor y(*device, TSR_F32, 3, D);
    OpRunner op(device);
    tsr_op_softmax softmax{};
    softmax.op.kind = TSR_OP_SOFTMAX;
    softmax.x = op.add(x);
    softmax.y = op.add(y);
    softmax.scale = 0.5f;
    op.program().add_op(softmax);
    ASSERT_TRUE(op.run(3).ok());
    const auto in = x.values();
    std::vector<double> wanted(in.size());
    reference::softmax(in.data(), 3, D, 0.5f, wanted.data());
    expect_close(y, wanted, 0.0, "D " + std::to_string(D));
  }
}

// What tessera/portable_math.h gives, which other backends give too.
TEST_F(DeviceRowOps, ElementwiseOpsGiveThePortableBits) {
  TSR_OPEN_OR_SKIP(device, {});
  struct Case {
    uint32_t kind;
    uint32_t variant;
    float (*wanted)(float a, float b);
  };
  const Case cases[] = {
      {TSR_OP_ADD, 0, [](float a, float b) { return a + b; }},
      {TSR_OP_SILU_MUL, 0,
       [](float a, float b) { return tsr_silu_f32(a) * b; }},
      {TSR_OP_GELU, TSR_EPILOGUE_GELU_ERF,
       [](float a, float) { return tsr_gelu_erf_f32(a); }},
      {TSR_OP_GELU, TSR_EPILOGUE_GELU_TANH,
       [](float a, float) { return tsr_gelu_tanh_f32(a); }},
  };
  const float special[] = {0.0f,   -0.0f, 1e-40f,   100.0f,   -100.0f,
                           88.72f, 1e30f, INFINITY, -INFINITY};
  for (const Case& c : cases) {
    for (const uint32_t dtype : kDtypes) {
      TestTensor a(*device, dtype, 4, 37, rng_);
      for (uint32_t i = 0; i < std::size(special); ++i) a.set(0, i, special[i]);
      const TestTensor b(*device, TSR_F32, 4, 37, rng_);
      const TestTensor y(*device, dtype, 4, 37);
      OpRunner op(device);
      tsr_op_elementwise map{};
      map.op.kind = c.kind;
      map.a = op.add(a);
      map.b = c.kind == TSR_OP_GELU ? TSR_NONE : op.add(b);
      map.y = op.add(y);
      map.variant = c.variant;
      op.program().add_op(map);
      ASSERT_TRUE(op.run(4).ok());
      for (uint32_t r = 0; r < 4; ++r) {
        for (uint32_t i = 0; i < 37; ++i) {
          const float wanted =
              rounded_to(dtype, c.wanted(a.at(r, i), b.at(r, i)));
          const float found = y.at(r, i);
          if (std::isnan(wanted) && std::isnan(found)) continue;
          ASSERT_EQ(tsr_bits_f32(found), tsr_bits_f32(wanted))
              << "op " << c.kind << " of " << a.at(r, i) << ", dtype " << dtype;
        }
      }
      EXPECT_TRUE(y.gaps_untouched());
    }
  }
}

struct RopeCase {
  uint32_t head_dim;
  uint32_t rotary_dim;
  uint32_t style;
};

TEST_F(DeviceRowOps, RopeRotatesAsTheOracleInF32) {
  TSR_OPEN_OR_SKIP(device, {});
  const RopeCase cases[] = {{64, 64, TSR_ROPE_HALF},
                            {1030, 1024, TSR_ROPE_HALF},
                            {1024, 1024, TSR_ROPE_INTERLEAVED},
                            {64, 64, TSR_ROPE_INTERLEAVED},
                            {40, 20, TSR_ROPE_HALF},
                            {10, 6, TSR_ROPE_INTERLEAVED}};
  for (const RopeCase& c : cases) {
    const uint32_t heads = 3;
    const TestTensor x(*device, TSR_F32, 4, heads * c.head_dim, rng_, 0);
    const TestTensor y(*device, TSR_F32, 4, heads * c.head_dim, 0);
    const TestTensor table(*device, TSR_F32, 9, c.rotary_dim, rng_, 0);
    TestTensor positions(*device, TSR_I32, 1, 4, 0);
    const int32_t at[] = {8, 0, 3, 7};
    for (uint32_t i = 0; i < 4; ++i) positions.set_integer(0, i, at[i]);
    OpRunner op(device);
    tsr_op_rope rope{};
    rope.op.kind = TSR_OP_ROPE;
    rope.x = op.add_heads(x, heads);
    rope.y = op.add_heads(y, heads);
    rope.positions = op.add(positions, TSR_DIM_FIXED);
    rope.table = op.add(table, TSR_DIM_FIXED);
    rope.style = c.style;
    rope.rotary_dim = c.rotary_dim;
    op.program().add_op(rope);
    ASSERT_TRUE(op.run(4).ok());
    const auto in = x.values();
    const auto angles = table.values();
    std::vector<float> wanted(in.size());
    ASSERT_TRUE(reference::rope_f32({4, heads, c.head_dim, in.data(), at,
                                     angles.data(), 9, c.style, c.rotary_dim},
                                    wanted.data())
                    .ok());
    EXPECT_EQ(y.values(), wanted) << c.head_dim << " style " << c.style;
  }
}

TEST_F(DeviceRowOps, EmbeddingCopiesRowsAndFailsTheStepForAnIdOutside) {
  TSR_OPEN_OR_SKIP(device, {});
  const TestTensor table(*device, TSR_BF16, 6, 33, rng_, 0);
  const TestTensor y(*device, TSR_F32, 3, 33);
  TestTensor ids(*device, TSR_I32, 1, 3, 0);
  const auto run = [&](int32_t last) {
    const int32_t rows[] = {5, 0, last};
    for (uint32_t i = 0; i < 3; ++i) ids.set_integer(0, i, rows[i]);
    OpRunner op(device);
    tsr_op_gather gather{};
    gather.op.kind = TSR_OP_EMBEDDING;
    gather.table = op.add(table, TSR_DIM_FIXED);
    gather.rows = op.add(ids, TSR_DIM_FIXED);
    gather.y = op.add(y);
    op.program().add_op(gather);
    return op.run(3);
  };
  ASSERT_TRUE(run(2).ok());
  for (uint32_t c = 0; c < 33; ++c) {
    EXPECT_EQ(y.at(0, c), table.at(5, c));
    EXPECT_EQ(y.at(1, c), table.at(0, c));
    EXPECT_EQ(y.at(2, c), table.at(2, c));
  }
  EXPECT_EQ(run(6).code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(run(-1).code(), TSR_INVALID_ARGUMENT);
  EXPECT_TRUE(run(1).ok()) << "a failed step leaves no trace";
}

}  // namespace
}  // namespace tessera::device_test
