// SPDX-License-Identifier: Apache-2.0
//
// Linears of the same input prepare it once, and again once it has changed.

#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

constexpr uint32_t kColumns = 96;
constexpr uint32_t kFeatures = 40;

// Programs over h = a, then h = b, whose linears read h.
class SharedInput : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    std::string reason;
    device_ = open_device({}, &reason);
    if (device_ == nullptr) GTEST_SKIP() << reason;
  }

  // A linear of its own over a bound tensor.
  std::vector<float> alone(const Weight& weight, const TestTensor& x,
                           uint32_t act_quant) {
    const TestTensor y(*device_, TSR_F32, x.rows(), kFeatures, 0);
    OpRunner op(device_);
    add_linear(op, weight, op.add(x), op.add(y), act_quant);
    const Status status = op.run(x.rows());
    EXPECT_TRUE(status.ok()) << status.message();
    return y.values();
  }

  static void add_linear(OpRunner& op, const Weight& weight, uint32_t x,
                         uint32_t y, uint32_t act_quant) {
    tsr_op_linear linear{};
    linear.op.kind = TSR_OP_LINEAR;
    linear.weight = op.program().add_weight(weight.id());
    linear.x = x;
    linear.y = y;
    linear.bias = linear.multiplier = linear.residual = TSR_NONE;
    linear.act_quant = act_quant;
    op.program().add_op(linear);
  }

  // h = 2 x.
  static void add_double(OpRunner& op, uint32_t x, uint32_t h) {
    tsr_op_elementwise add{};
    add.op.kind = TSR_OP_ADD;
    add.a = add.b = x;
    add.y = h;
    op.program().add_op(add);
  }

  std::shared_ptr<Device> device_;
};

TEST_P(SharedInput, IsWhatEachWouldPrepareAlone) {
  const uint32_t M = GetParam();
  std::mt19937 rng(42);
  std::vector<Weight> weights;
  for (const char* name :
       {"i8_channel", "sparse", "u4_g32", "sparse", "i8_channel"}) {
    const auto planes =
        random_weight(weight_kind(name), kFeatures, kColumns, rng);
    auto weight = device_->load_weight(planes.view().desc());
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    weights.push_back(std::move(*weight));
  }
  const TestTensor inputs[] = {{*device_, TSR_F32, M, kColumns, rng, 0},
                               {*device_, TSR_F32, M, kColumns, rng, 0}};
  OpRunner op(device_);
  tsr_tensor transient = inputs[0].desc(TSR_DIM_TOKENS);
  transient.flags = TSR_TENSOR_TRANSIENT;
  const uint32_t h = op.program().add_tensor(transient);
  struct Product {
    const Weight& weight;
    const TestTensor& x;
    uint32_t act_quant;
    TestTensor y;
  };
  std::vector<Product> products;
  for (const TestTensor& input : inputs) {
    add_double(op, op.add(input), h);
    for (const uint32_t act_quant :
         {uint32_t{TSR_ACT_I8_DYNAMIC}, uint32_t{TSR_ACT_FLOAT}}) {
      for (const Weight& weight : weights) {
        products.push_back({weight, input, act_quant,
                            TestTensor(*device_, TSR_F32, M, kFeatures, 0)});
        add_linear(op, weight, h, op.add(products.back().y), act_quant);
      }
    }
  }
  const Status status = op.run(M);
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < products.size(); ++i) {
    SCOPED_TRACE("product " + std::to_string(i));
    const Product& product = products[i];
    TestTensor doubled(*device_, TSR_F32, M, kColumns, 0);
    for (uint32_t m = 0; m < M; ++m) {
      for (uint32_t k = 0; k < kColumns; ++k) {
        doubled.set(m, k, 2.0f * product.x.at(m, k));
      }
    }
    EXPECT_EQ(product.y.values(),
              alone(product.weight, doubled, product.act_quant));
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, SharedInput, testing::Values(1U, 7U, 20U, 40U));

}  // namespace
}  // namespace tessera::device_test
