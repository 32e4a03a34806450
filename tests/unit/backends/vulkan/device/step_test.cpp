// SPDX-License-Identifier: Apache-2.0
//
// Steps of one program, one after another: a step like the last keeps what that
// one was given, any other does not.

#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/backends/device/attention_case.hpp"

namespace tessera::device_test {
namespace {

constexpr uint32_t kRows = 8;
constexpr uint32_t kCols = 16;

void fill(TestTensor& tensor, float value) {
  for (uint32_t row = 0; row < kRows; ++row) {
    for (uint32_t col = 0; col < kCols; ++col) tensor.set(row, col, value);
  }
}

// That is what the rows hold, each in full.
void expect_rows(const TestTensor& tensor, std::vector<float> rows) {
  for (uint32_t row = 0; row < rows.size(); ++row) {
    for (uint32_t col = 0; col < kCols; ++col) {
      ASSERT_EQ(tensor.at(row, col), rows[row]) << row << ", " << col;
    }
  }
}

// y = a + a, step after step.
class VulkanSteps : public testing::Test {
 protected:
  void SetUp() override {
    TSR_OPEN_OR_SKIP(device, {});
    a_.emplace(*device, TSR_F32, kRows, kCols, 0);
    y_.emplace(*device, TSR_F32, kRows, kCols, 0);
    other_y_.emplace(*device, TSR_F32, kRows, kCols, 0);
    fill(*other_y_, 0.0f);
    OpRunner runner(device);
    tsr_op_elementwise add{};
    add.op.kind = TSR_OP_ADD;
    add.a = add.b = runner.add(*a_);
    add.y = y_id_ = runner.add(*y_);
    runner.program().add_op(add);
    auto steps = runner.prepare(kRows);
    ASSERT_TRUE(steps.ok()) << steps.status().message();
    steps_.emplace(std::move(*steps));
  }

  Status run(float input, uint32_t rows = kRows) {
    fill(*a_, input);
    steps_->step().num_tokens = rows;
    return steps_->run();
  }
  void lay_result(uint64_t buffer) { steps_->bind(y_id_, buffer); }
  const TestTensor& y() const { return *y_; }
  const TestTensor& other_y() const { return *other_y_; }

 private:
  std::optional<TestTensor> a_;
  std::optional<TestTensor> y_;
  std::optional<TestTensor> other_y_;
  uint32_t y_id_ = 0;
  std::optional<RepeatedStep> steps_;
};

TEST_F(VulkanSteps, OfOtherCountsComputeTheirRowsAlone) {
  ASSERT_TRUE(run(1.0f).ok());
  expect_rows(y(), {2, 2, 2, 2, 2, 2, 2, 2});
  ASSERT_TRUE(run(2.0f, 3).ok());
  expect_rows(y(), {4, 4, 4, 2, 2, 2, 2, 2});
  ASSERT_TRUE(run(3.0f, 3).ok());
  expect_rows(y(), {6, 6, 6, 2, 2, 2, 2, 2});
  ASSERT_TRUE(run(4.0f, 7).ok());
  expect_rows(y(), {8, 8, 8, 8, 8, 8, 8, 2});
}

TEST_F(VulkanSteps, MayLayATensorElsewhereAndBack) {
  ASSERT_TRUE(run(1.0f).ok());
  lay_result(other_y().buffer());
  ASSERT_TRUE(run(2.0f).ok());
  expect_rows(y(), {2, 2});
  expect_rows(other_y(), {4, 4});
  lay_result(y().buffer());
  ASSERT_TRUE(run(3.0f).ok());
  expect_rows(y(), {6, 6});
  expect_rows(other_y(), {4, 4});
}

// Integer attention has another kernel where scores have no place any more,
// which only the longest sequence of a step tells.
TEST(VulkanStepLengths, ASequenceMayGrowPastWhatScoresHaveAPlaceFor) {
  TSR_OPEN_OR_SKIP(device, {});
  AttentionCase c;
  c.num_q_heads = 8;
  c.num_kv_heads = 1;
  c.head_dim = 32;
  c.seqs = {{1, 4200}};
  AttentionStep attention(*device, c, TSR_KV_I8_HEAD);
  auto pool = device->create_kv_pool(attention.kv_desc());
  ASSERT_TRUE(pool.ok());
  ASSERT_TRUE(import_blocks(device, *pool, attention.kv_desc().num_blocks,
                            attention.blocks())
                  .ok());
  OpRunner op(device);
  attention.add_to(op, *pool);
  auto steps = op.prepare(1, 1, attention.max_blocks());
  ASSERT_TRUE(steps.ok()) << steps.status().message();
  for (const uint32_t keys : {40U, 41U, 4096U, 4097U, 4200U, 40U}) {
    SCOPED_TRACE(keys);
    attention.set_seq_len(0, keys);
    steps->step().max_seq_len = keys;
    const Status status = steps->run();
    ASSERT_TRUE(status.ok()) << status.message();
    attention.compare();
  }
}

}  // namespace
}  // namespace tessera::device_test
