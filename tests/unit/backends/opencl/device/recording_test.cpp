// SPDX-License-Identifier: Apache-2.0
//
// Steps give the same results whether their kernels are enqueued one by one or
// recorded, and whether submit waits for them or not.

#include <chrono>
#include <map>
#include <thread>

#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/copy_case.hpp"
#include "tests/unit/backends/device/linear_case.hpp"

namespace tessera::device_test {
namespace {

// y = a + a of a step after step.
class Doubling {
 public:
  explicit Doubling(const std::shared_ptr<Device>& device)
      : device_(device),
        a_(*device, TSR_F32, 4, 64),
        y_(*device, TSR_F32, 4, 64) {
    tsr_op_elementwise map{};
    map.op.kind = TSR_OP_ADD;
    map.a = map.b = program_.add_tensor(a_.desc(TSR_DIM_TOKENS));
    map.y = program_.add_tensor(y_.desc(TSR_DIM_TOKENS));
    program_.bind(map.a, a_.buffer(), 0);
    program_.bind(map.y, y_.buffer(), 0);
    program_.add_op(map);
    program_.set_limits(4, 1, 4, 1);
    made_ = std::move(*device->create_program(program_.build()));
    queue_ = std::move(*device->create_queue());
    timeline_id_ = *timeline_.import_into(device);
  }

  // A step that waits for `wait`, unless it is 0, and signals `signal`.
  Status submit(uint64_t wait, uint64_t signal, uint32_t num_tokens = 4) {
    return submit_after({timeline_id_, wait}, signal, num_tokens);
  }
  Status submit_after(const tsr_point& wait, uint64_t signal,
                      uint32_t num_tokens = 4) {
    SubmissionBuilder step;
    step.set_program(made_.id());
    if (wait.value != 0) step.add_wait(wait);
    step.add_signal({timeline_id_, signal});
    tsr_submission& record = step.record();
    record.num_tokens = num_tokens;
    record.num_seqs = 1;
    record.num_outputs = num_tokens;
    return queue_.submit(record);
  }

  void set(float value) {
    for (uint32_t r = 0; r < 4; ++r) {
      for (uint32_t c = 0; c < 64; ++c) a_.set(r, c, value);
    }
  }
  void expect(float value, uint32_t num_tokens = 4) const {
    for (uint32_t r = 0; r < num_tokens; ++r) {
      for (uint32_t c = 0; c < 64; ++c) ASSERT_EQ(y_.at(r, c), value);
    }
  }
  Timeline& timeline() { return timeline_; }

 private:
  std::shared_ptr<Device> device_;
  TestTensor a_;
  TestTensor y_;
  ProgramBuilder program_;
  Program made_;
  Timeline timeline_;
  Queue queue_;  // destroyed before its timeline
  uint64_t timeline_id_ = 0;
};

class OpenClRecording
    : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  // Null, and `reason` says why, where the device has no command buffers.
  std::shared_ptr<Device> open(std::string* reason) const {
    const auto [record, submit] = GetParam();
    const Options options = {{"record", record}, {"submit", submit}};
    const auto device = try_open(options);
    const bool is_refused =
        !device.ok() && device.status().message().find(
                            "cl_khr_command_buffer") != std::string::npos;
    if (!is_refused) return open_device(options, reason);
    *reason = device.status().message();
    return nullptr;
  }
};

#define TSR_OPEN_RECORDING_OR_SKIP(device)              \
  std::string reason;                                   \
  const std::shared_ptr<Device> device = open(&reason); \
  if (device == nullptr) GTEST_SKIP() << reason

TEST_P(OpenClRecording, LinearAttentionAndCopiesAreTheOracles) {
  TSR_OPEN_RECORDING_OR_SKIP(device);
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 40, 64, rng);
  LinearCase c;
  c.act_quant = TSR_ACT_I8_DYNAMIC;
  for (const uint32_t M : {1U, 9U}) {
    c.M = M;
    expect_linear(device, planes, c);
  }
  AttentionStep(*device, AttentionCase{}, TSR_KV_I8_TOKEN).run(device);
  expect_copies(device);
}

TEST_P(OpenClRecording, StepsSeeWhatTheirTensorsHoldAndTheirOwnSize) {
  TSR_OPEN_RECORDING_OR_SKIP(device);
  Doubling doubling(device);
  uint64_t value = 0;
  for (int i = 1; i <= 5; ++i) {
    const uint32_t num_tokens = i % 2 == 0 ? 2 : 4;
    doubling.set(static_cast<float>(i));
    ASSERT_TRUE(doubling.submit(0, ++value, num_tokens).ok());
    ASSERT_TRUE(doubling.timeline().wait(value).ok());
    doubling.expect(static_cast<float>(2 * i), num_tokens);
  }
}

// Of y the rows that the step has; the same for the same size, whatever ran
// in between.
TEST_P(OpenClRecording, ALinearsPrefillLeavesItsRecordedDecodeAlone) {
  TSR_OPEN_RECORDING_OR_SKIP(device);
  constexpr uint32_t kTokens = 9;
  std::mt19937 rng(42);
  const auto planes = random_weight(weight_kind("i8_channel"), 40, 64, rng);
  const auto weight = device->load_weight(planes.view().desc());
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  const TestTensor x(*device, TSR_F32, kTokens, 64, rng);
  const TestTensor y(*device, TSR_F32, kTokens, 40);
  OpRunner op(device);
  tsr_op_linear linear{};
  linear.op.kind = TSR_OP_LINEAR;
  linear.weight = op.program().add_weight(weight->id());
  linear.x = op.add(x);
  linear.y = op.add(y);
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  linear.act_quant = TSR_ACT_I8_DYNAMIC;
  op.program().add_op(linear);
  auto steps = op.prepare(kTokens);
  ASSERT_TRUE(steps.ok()) << steps.status().message();
  std::map<uint32_t, std::vector<float>> wanted;
  for (const uint32_t M : {9U, 9U, 9U, 1U, 1U, 1U, 9U, 1U, 3U, 1U, 3U, 9U}) {
    steps->step().num_tokens = steps->step().num_outputs = M;
    ASSERT_TRUE(steps->run().ok());
    std::vector<float> got = y.values();
    got.resize(size_t{M} * 40);
    const auto first = wanted.emplace(M, got).first;
    EXPECT_EQ(got, first->second) << "M " << M;
  }
  EXPECT_NE(wanted.at(1)[0], 0.0f);
}

TEST_P(OpenClRecording, QueuedStepsRunInOrder) {
  TSR_OPEN_RECORDING_OR_SKIP(device);
  Doubling doubling(device);
  doubling.set(3.0f);
  for (uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(doubling.submit(i - 1, i).ok());
  }
  ASSERT_TRUE(doubling.timeline().wait(20).ok());
  doubling.expect(6.0f);
}

// One program, whose rows are outside the table in its first two steps.
TEST_P(OpenClRecording, AFaultFailsItsStepAlone) {
  TSR_OPEN_RECORDING_OR_SKIP(device);
  std::mt19937 rng(42);
  const TestTensor table(*device, TSR_F32, 6, 33, rng, 0);
  const TestTensor y(*device, TSR_F32, 1, 33);
  TestTensor ids(*device, TSR_I32, 1, 1, 0);
  OpRunner op(device);
  tsr_op_gather gather{};
  gather.op.kind = TSR_OP_EMBEDDING;
  gather.table = op.add(table, TSR_DIM_FIXED);
  gather.rows = op.add(ids, TSR_DIM_FIXED);
  gather.y = op.add(y);
  op.program().add_op(gather);
  for (const int32_t bad : {6, -1}) {
    auto steps = op.prepare(1);
    ASSERT_TRUE(steps.ok()) << steps.status().message();
    ids.set_integer(0, 0, 5);
    ASSERT_TRUE(steps->run().ok());
    ids.set_integer(0, 0, bad);
    EXPECT_EQ(steps->run().code(), TSR_INVALID_ARGUMENT);
  }
  auto steps = op.prepare(1);
  ids.set_integer(0, 0, 3);
  ASSERT_TRUE(steps->run().ok());
  EXPECT_EQ(y.at(0, 7), table.at(3, 7));
}

INSTANTIATE_TEST_SUITE_P(
    All, OpenClRecording,
    testing::Values(std::pair{"never", "done"}, std::pair{"always", "done"},
                    std::pair{"again", "done"}, std::pair{"never", "enqueued"},
                    std::pair{"again", "enqueued"}),
    [](const auto& mode) {
      return std::string(mode.param.first) + "_" + mode.param.second;
    });

// What a blocking queue could not do: its caller signals what the step waits
// for.
TEST(OpenClQueue, AStepMayWaitForWhatIsSignalledAfterItsSubmission) {
  const Options options = {{"submit", "enqueued"}};
  TSR_OPEN_OR_SKIP(device, options);
  Doubling doubling(device);
  doubling.set(1.0f);
  ASSERT_TRUE(doubling.submit(1, 2).ok());
  ASSERT_TRUE(doubling.submit(2, 3).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LT(doubling.timeline().value(), 2U) << "ran before its wait";
  doubling.set(4.0f);
  doubling.timeline().signal(1);
  ASSERT_TRUE(doubling.timeline().wait(3).ok());
  doubling.expect(8.0f);
}

TEST(OpenClQueue, AFailedWaitFailsTheStepThatWaitsForIt) {
  const Options options = {{"submit", "enqueued"}};
  TSR_OPEN_OR_SKIP(device, options);
  Timeline other;
  const auto id = other.import_into(device);
  ASSERT_TRUE(id.ok());
  Doubling doubling(device);
  ASSERT_TRUE(doubling.submit_after({*id, 1}, 1).ok());
  other.fail(TSR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(doubling.timeline().wait(1).code(), TSR_RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace tessera::device_test
