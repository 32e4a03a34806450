// SPDX-License-Identifier: Apache-2.0
//
// Runs single ops on the device under test, with tensors whose rows lie
// further apart than they are wide.

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"
#include "framework/host/device/timeline.hpp"
#include "tests/unit/backends/device/shared_buffer.hpp"

namespace tessera::device_test {

using Options = std::vector<std::pair<std::string, std::string>>;

// The device under test, of the build tree's plugin.
Result<std::shared_ptr<Device>> try_open(const Options& options);

// The device opened with `options`, once per program.  Null, and `reason` says
// why, where this machine has none.
std::shared_ptr<Device> open_device(const Options& options,
                                    std::string* reason);

// Skips the test where there is no such device.
#define TSR_OPEN_OR_SKIP(device, options)     \
  std::string device##_reason;                \
  const std::shared_ptr<Device> device =      \
      open_device(options, &device##_reason); \
  if (device == nullptr) GTEST_SKIP() << device##_reason

// `value` after rounding to `dtype`.
float rounded_to(uint32_t dtype, float value);

// A [rows, cols] tensor on the device.  Moves only.
class TestTensor {
 public:
  // Elements start as a pattern that no test value has.
  TestTensor(Device& device, uint32_t dtype, uint32_t rows, uint32_t cols,
             uint32_t gap = 5);
  // Normal values.
  TestTensor(Device& device, uint32_t dtype, uint32_t rows, uint32_t cols,
             std::mt19937& rng, uint32_t gap = 5);

  uint32_t dtype() const { return dtype_; }
  uint32_t rows() const { return rows_; }
  uint32_t cols() const { return cols_; }
  uint64_t buffer() const { return buffer_.id(); }
  tsr_tensor desc(uint32_t symbol) const;

  float at(uint32_t row, uint32_t col) const;
  int32_t integer(uint32_t row, uint32_t col) const;
  void set(uint32_t row, uint32_t col, float value);
  void set_integer(uint32_t row, uint32_t col, int32_t value);
  std::vector<float> values() const;  // dense
  // True if what lies between the rows is as it was.
  bool gaps_untouched() const;

 private:
  std::byte* element(uint32_t row, uint32_t col) const;

  uint32_t dtype_;
  uint32_t rows_;
  uint32_t cols_;
  uint32_t stride_;
  SharedBuffer buffer_;
  std::byte* memory_;
};

// A program on its device, run step after step.
class RepeatedStep {
 public:
  // Runs one more step and waits for it.
  Status run();
  // Numbers of the steps to come.
  tsr_submission& step() { return submission_.record(); }
  // Where the program's tensor `id` lies in the steps to come.
  void bind(uint32_t id, uint64_t buffer) {
    submission_.add_binding({id, 0, buffer, 0});
  }

 private:
  friend class OpRunner;

  Program program_;
  Queue queue_;
  std::unique_ptr<Timeline> timeline_ = std::make_unique<Timeline>();
  SubmissionBuilder submission_;
  uint64_t value_ = 0;
};

// A program of one op, or of several.
class OpRunner {
 public:
  explicit OpRunner(std::shared_ptr<Device> device)
      : device_(std::move(device)) {}

  // A tensor of the program, bound to `tensor`.  Rows are tokens unless
  // `symbol` says otherwise.
  uint32_t add(const TestTensor& tensor, uint32_t symbol = TSR_DIM_TOKENS);
  // The same as [rows, heads, cols / heads] without gaps.
  uint32_t add_heads(const TestTensor& tensor, uint32_t heads);
  ProgramBuilder& program() { return program_; }
  tsr_submission& step() { return submission_.record(); }

  // Steps of num_tokens, which are the program's limits too, unless step() says
  // otherwise.
  Result<RepeatedStep> prepare(uint32_t num_tokens, uint32_t num_seqs = 1,
                               uint32_t max_blocks = 1);
  // Runs the program once.
  Status run(uint32_t num_tokens, uint32_t num_seqs = 1,
             uint32_t max_blocks = 1);

 private:
  std::shared_ptr<Device> device_;
  ProgramBuilder program_;
  SubmissionBuilder submission_;
};

}  // namespace tessera::device_test
