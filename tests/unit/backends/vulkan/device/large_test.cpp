// SPDX-License-Identifier: Apache-2.0
//
// Every op where its tensors, its weight or its pool end past what the device
// binds at once: 128 MiB on lavapipe.

#include <gmock/gmock.h>

#include <functional>

#include "framework/conformance/reference/attention/kv.hpp"
#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

constexpr uint32_t kRows = 4;
constexpr uint32_t kWidth = 77;
constexpr uint32_t kNear = 5;                 // elements between rows
constexpr uint32_t kFar = uint32_t{1} << 24;  // 64 MiB of f32

class VulkanLarge : public testing::TestWithParam<Options> {};

// Operands of [kRows, kWidth], whose rows lie `gap` apart.
struct Operands {
  Operands(Device& device, uint32_t gap)
      : a(device, TSR_F32, kRows, kWidth, rng, gap),
        b(device, TSR_F32, kRows, kWidth, rng, gap),
        y(device, TSR_F32, kRows, kWidth, gap) {}

  std::mt19937 rng{42};
  TestTensor a;
  TestTensor b;
  TestTensor y;
};

using AddOp = std::function<void(OpRunner&, const Operands&)>;

std::vector<float> run_at(const std::shared_ptr<Device>& device, uint32_t gap,
                          const AddOp& add) {
  const Operands operands(*device, gap);
  OpRunner op(device);
  add(op, operands);
  const Status status = op.run(kRows);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(operands.y.gaps_untouched());
  return operands.y.values();
}

AddOp elementwise(uint32_t kind, uint32_t variant = 0) {
  return [=](OpRunner& op, const Operands& operands) {
    tsr_op_elementwise map{};
    map.op.kind = kind;
    map.a = op.add(operands.a);
    map.b = kind == TSR_OP_GELU ? TSR_NONE : op.add(operands.b);
    map.y = op.add(operands.y);
    map.variant = variant;
    op.program().add_op(map);
  };
}

// Scaled and shifted by the rows of `weight`.
AddOp normalization(uint32_t kind, const TestTensor& weight) {
  return [kind, &weight](OpRunner& op, const Operands& operands) {
    tsr_op_norm norm{};
    norm.op.kind = kind;
    norm.x = op.add(operands.a);
    norm.y = op.add(operands.y);
    norm.weight = op.add(weight, TSR_DIM_FIXED);
    norm.bias = kind == TSR_OP_LAYER_NORM ? norm.weight : TSR_NONE;
    norm.eps = 1e-5f;
    op.program().add_op(norm);
  };
}

void add_softmax(OpRunner& op, const Operands& operands) {
  tsr_op_softmax softmax{};
  softmax.op.kind = TSR_OP_SOFTMAX;
  softmax.x = op.add(operands.a);
  softmax.y = op.add(operands.y);
  softmax.scale = 0.5f;
  op.program().add_op(softmax);
}

AddOp embedding(const TestTensor& ids) {
  return [&ids](OpRunner& op, const Operands& operands) {
    tsr_op_gather gather{};
    gather.op.kind = TSR_OP_EMBEDDING;
    gather.table = op.add(operands.a, TSR_DIM_FIXED);
    gather.rows = op.add(ids, TSR_DIM_FIXED);
    gather.y = op.add(operands.y);
    op.program().add_op(gather);
  };
}

AddOp linear(const Weight& weight) {
  return [&weight](OpRunner& op, const Operands& operands) {
    tsr_op_linear linear{};
    linear.op.kind = TSR_OP_LINEAR;
    linear.x = op.add(operands.a);
    linear.weight = op.program().add_weight(weight.id());
    linear.residual = op.add(operands.b);
    linear.y = op.add(operands.y);
    linear.bias = linear.multiplier = TSR_NONE;
    op.program().add_op(linear);
  };
}

// Other tests hold what is near to the oracle.
TEST_P(VulkanLarge, RowsFarApartGiveWhatRowsNearGive) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  std::mt19937 rng(42);
  const TestTensor row(*device, TSR_F32, 1, kWidth, rng, 0);
  TestTensor ids(*device, TSR_I32, 1, kRows, 0);
  for (uint32_t i = 0; i < kRows; ++i) {
    ids.set_integer(0, i, static_cast<int32_t>(kRows - 1 - i));
  }
  const auto planes = random_weight(weight_kind("f32"), kWidth, kWidth, rng);
  const auto weight = device->load_weight(planes.view().desc());
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  const std::pair<const char*, AddOp> ops[] = {
      {"add", elementwise(TSR_OP_ADD)},
      {"silu_mul", elementwise(TSR_OP_SILU_MUL)},
      {"gelu", elementwise(TSR_OP_GELU, TSR_EPILOGUE_GELU_ERF)},
      {"rms_norm", normalization(TSR_OP_RMS_NORM, row)},
      {"layer_norm", normalization(TSR_OP_LAYER_NORM, row)},
      {"softmax", add_softmax},
      {"embedding", embedding(ids)},
      {"linear", linear(*weight)}};
  for (const auto& [name, add] : ops) {
    SCOPED_TRACE(name);
    EXPECT_EQ(run_at(device, kFar, add), run_at(device, kNear, add));
  }
}

// Turns every row of x, which are heads without gaps, by position 0.
Status run_rope(const std::shared_ptr<Device>& device, const TestTensor& x,
                const TestTensor& y, uint32_t heads) {
  std::mt19937 rng(42);
  const uint32_t dim = x.cols() / heads;
  const TestTensor table(*device, TSR_F32, 1, dim, rng, 0);
  TestTensor positions(*device, TSR_I32, 1, x.rows(), 0);
  for (uint32_t r = 0; r < x.rows(); ++r) positions.set_integer(0, r, 0);
  OpRunner op(device);
  tsr_op_rope rope{};
  rope.op.kind = TSR_OP_ROPE;
  rope.x = op.add_heads(x, heads);
  rope.y = op.add_heads(y, heads);
  rope.positions = op.add(positions, TSR_DIM_FIXED);
  rope.table = op.add(table, TSR_DIM_FIXED);
  rope.style = TSR_ROPE_HALF;
  rope.rotary_dim = dim;
  op.program().add_op(rope);
  const Status done = op.run(x.rows());
  return done.ok() ? done : device->explain(done);
}

// Many rows are what takes the last one far.
TEST_P(VulkanLarge, RopeTurnsTheLastOfManyRows) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  constexpr uint32_t kHeads = 8;
  const auto turned = [&](uint32_t rows) {
    TestTensor x(*device, TSR_F32, rows, kHeads * 128, 0);
    const TestTensor y(*device, TSR_F32, rows, x.cols(), 0);
    for (uint32_t c = 0; c < x.cols(); ++c) {
      x.set(rows - 1, c, static_cast<float>(c % 31) - 15.0f);
    }
    const Status status = run_rope(device, x, y, kHeads);
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<float> last;
    for (uint32_t c = 0; c < y.cols(); ++c) last.push_back(y.at(rows - 1, c));
    return last;
  };
  constexpr uint32_t kManyRows = 35'000;  // 143 MB
  EXPECT_EQ(turned(kManyRows), turned(1));
}

TEST_P(VulkanLarge, LinearTakesALargeWeight) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  std::mt19937 rng(42);
  // 143 MB of codes.
  const auto planes = random_weight(weight_kind("f32"), 8'000, 4'480, rng);
  for (const uint32_t M : {1U, 3U}) {
    LinearCase c;
    c.M = M;
    c.n_begin = 7'900;
    expect_linear(device, planes, c);
  }
}

TEST_P(VulkanLarge, AttentionReadsALargePool) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  AttentionCase c;
  c.num_kv_heads = 4;
  c.head_dim = 128;
  c.seqs = {{1, 35'000}, {3, 40}};  // 4 kB a token
  AttentionStep(*device, c, TSR_KV_F32).run(device);
}

TEST_P(VulkanLarge, KvAppendStoresAtTheEndOfALargePool) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  constexpr uint32_t kDim = 128;
  const tsr_kv_desc desc{sizeof(desc), TSR_KV_F32, 4, kDim, 16, 2'200, nullptr};
  auto pool = device->create_kv_pool(desc);
  ASSERT_TRUE(pool.ok()) << pool.status().message();
  const int32_t at[] = {0, 20'000, 2'200 * 16 - 1};
  std::mt19937 rng(42);
  const TestTensor k(*device, TSR_F32, 3, desc.num_kv_heads * kDim, rng);
  const TestTensor v(*device, TSR_F32, 3, desc.num_kv_heads * kDim, rng);
  TestTensor slots(*device, TSR_I32, 1, 3, 0);
  for (uint32_t i = 0; i < 3; ++i) slots.set_integer(0, i, at[i]);
  OpRunner op(device);
  tsr_op_kv_append append{};
  append.op.kind = TSR_OP_KV_APPEND;
  append.k = op.add(k);
  append.v = op.add(v);
  append.kv = op.program().add_kv_pool(pool->id());
  append.slot_mapping = op.add(slots, TSR_DIM_FIXED);
  append.positions = append.table = append.kv_inv = TSR_NONE;
  append.style = TSR_ROPE_NONE;
  op.program().add_op(append);
  const Status status = op.run(3);
  ASSERT_TRUE(status.ok()) << status.message();
  auto blocks = export_blocks(device, *pool, desc.num_blocks);
  ASSERT_TRUE(blocks.ok()) << blocks.status().message();
  const auto stored = *reference::KvPool::open(desc, *blocks);
  std::vector<double> row(kDim);
  for (uint32_t i = 0; i < 3; ++i) {
    for (uint32_t head = 0; head < desc.num_kv_heads; ++head) {
      stored.read(reference::KvPart::kKey, at[i], head, nullptr, row);
      EXPECT_EQ(row[3], k.at(i, head * kDim + 3)) << at[i] << " " << head;
      stored.read(reference::KvPart::kValue, at[i], head, nullptr, row);
      EXPECT_EQ(row[kDim - 1], v.at(i, head * kDim + kDim - 1))
          << at[i] << " " << head;
    }
  }
}

// lavapipe ends an invocation's loops after 65,535 iterations: what would take
// more is refused, and what is not refused is right.
TEST_P(VulkanLarge, AttentionOverManyKeysIsRightOrRefused) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  uint32_t refused = 0;
  for (const uint32_t format : {TSR_KV_I8_TOKEN, TSR_KV_I8_HEAD}) {
    for (const uint32_t keys : {30'000U, 70'000U, 120'000U}) {
      AttentionCase c;
      c.num_q_heads = c.num_kv_heads = 1;
      c.seqs = {{1, keys}};
      AttentionStep step(*device, c, format);
      const Status status = step.run_op(device);
      if (!status.ok()) {
        EXPECT_THAT(device->explain(status).message(),
                    testing::HasSubstr("more keys than this"));
        ++refused;
        continue;
      }
      AttentionStep(*device, c, format).run(device);
    }
  }
  EXPECT_LT(refused, 4u);
}

// K columns of 3 rows, by M rows of x.
void expect_deep_linear(const std::shared_ptr<Device>& device,
                        const std::string& kind, uint32_t M, uint32_t K) {
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind(kind), 3, K, rng);
  const auto weight = device->load_weight(planes.view().desc());
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  const TestTensor x(*device, TSR_F32, M, K, 0);
  const TestTensor y(*device, TSR_F32, M, 3, 0);
  OpRunner op(device);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.x = op.add(x);
  linear.y = op.add(y);
  linear.weight = op.program().add_weight(weight->id());
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  op.program().add_op(linear);
  const Status status = op.run(M);
  if (status.ok()) {
    LinearCase c;
    c.M = M;
    expect_linear(device, planes, c);
  } else {
    EXPECT_THAT(status.message(),
                testing::HasSubstr("K = " + std::to_string(K)));
  }
}

TEST_P(VulkanLarge, ADeepLinearIsRightOrRefused) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  expect_deep_linear(device, "f32", 1, 400'000);
}

// Of chunks that are multiplied part by part, more turns than chunks.
TEST_P(VulkanLarge, ADeepLinearOfManyRowsIsRightOrRefused) {
  TSR_OPEN_OR_SKIP(device, GetParam());
  expect_deep_linear(device, "i8_channel", 17, 340'000);
  expect_deep_linear(device, "i8_channel", 17, 360'000);
}

TEST(VulkanLimits, EmulatedMatricesAreRightAtAnyDepth) {
  TSR_OPEN_OR_SKIP(device, (Options{{"form", "tile"}, {"matrix", "emulated"}}));
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 70, 4'096, rng);
  LinearCase c;
  c.M = 20;
  c.act_quant = TSR_ACT_I8_DYNAMIC;
  expect_linear(device, planes, c);
}

INSTANTIATE_TEST_SUITE_P(All, VulkanLarge,
                         testing::Values(Options{}, Options{{"form", "tile"}}),
                         [](const auto& options) {
                           return options.param.empty() ? "unasked" : "tile";
                         });

// A work-group for each row and head; lavapipe starts 65,535 one way.
TEST(VulkanLimits, AStepOfMoreGroupsThanTheDeviceStartsIsRefused) {
  TSR_OPEN_OR_SKIP(device, {});
  const auto turn = [&](uint32_t rows) {
    const TestTensor x(*device, TSR_F32, rows, 2, 0);
    const TestTensor y(*device, TSR_F32, rows, 2, 0);
    return run_rope(device, x, y, 1);
  };
  EXPECT_TRUE(turn(65'535).ok());
  const Status refused = turn(UINT16_MAX + 1);
  if (refused.ok()) GTEST_SKIP() << "the device starts more";
  EXPECT_EQ(refused.code(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.message(), testing::HasSubstr("65536 x 1 work-groups"));
  EXPECT_TRUE(turn(3).ok());
}

}  // namespace
}  // namespace tessera::device_test
