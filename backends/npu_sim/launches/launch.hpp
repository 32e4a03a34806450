// SPDX-License-Identifier: Apache-2.0
//
// One op of a program, ready to compute and to be timed.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/npu_sim/function/rows.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "tessera/op_facts.hpp"
#include "tessera/places.hpp"

namespace tessera::npu {

class NpuDevice;

// The step that runs.
struct Step {
  const tsr_submission& submission;
  const sdk::TensorPlaces& places;
};

// A tensor as entries (of its leading dimension) of rows.
class TensorRows {
 public:
  TensorRows() = default;
  TensorRows(const sdk::ProgramView& program, uint32_t id);

  bool exists() const { return id_ != TSR_NONE; }
  uint32_t dtype() const { return tensor_.dtype; }
  int64_t width() const { return width_; }  // of the last dimension
  int64_t stride() const { return stride_; }
  // Elements of one entry, and between entries.
  int64_t features() const { return width_ * rows_per_entry_; }
  int64_t entry_stride() const { return stride_ * rows_per_entry_; }
  int64_t max_entries() const { return tensor_.dims[0].max; }
  int64_t entries(const Step& step) const;
  int64_t rows(const Step& step) const {
    return entries(step) * rows_per_entry_;
  }

  // Null if there is no such tensor.
  template <typename T>
  T* data(const Step& step) const {
    return exists() ? step.places.at<T>(id_) : nullptr;
  }
  ConstRows const_rows(const Step& step) const {
    return {data<const void>(step), dtype(), stride_};
  }
  Rows mutable_rows(const Step& step) const {
    return {data<void>(step), dtype(), stride_};
  }
  // The same, a row for each entry.
  ConstRows const_entries(const Step& step) const {
    return {data<const void>(step), dtype(), entry_stride()};
  }
  Rows mutable_entries(const Step& step) const {
    return {data<void>(step), dtype(), entry_stride()};
  }

 private:
  uint32_t id_ = TSR_NONE;
  tsr_tensor tensor_{};
  int64_t width_ = 0;
  int64_t rows_per_entry_ = 1;
  int64_t stride_ = 0;
};

class Launch {
 public:
  virtual ~Launch() = default;
  // Throws Error; a failed step leaves the tensors it wrote unspecified.
  virtual void run(const Step& step) = 0;
  // What the simulated chip is to do in this step.
  virtual Problem problem(const Step& step) const = 0;
  virtual std::string kernel_name() const = 0;
};

// What making a launch may look at.
struct LaunchInput {
  NpuDevice& device;
  const sdk::ProgramView& program;
  const sdk::OpRecord& op;
  const sdk::OpFacts& facts;

  // Throws INVALID_ARGUMENT if there is no such tensor; TSR_NONE is none.
  TensorRows rows(uint32_t tensor) const { return {program, tensor}; }
};

// Throws INVALID_ARGUMENT, UNIMPLEMENTED or NOT_FOUND, saying why.
std::unique_ptr<Launch> make_launch(const LaunchInput& input);

// One per kind, in the file of that name.
std::unique_ptr<Launch> make_linear(const LaunchInput& input);
std::unique_ptr<Launch> make_attention(const LaunchInput& input);
std::unique_ptr<Launch> make_kv_append(const LaunchInput& input);
std::unique_ptr<Launch> make_row_op(const LaunchInput& input);

}  // namespace tessera::npu
