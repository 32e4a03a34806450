// SPDX-License-Identifier: Apache-2.0
//
// One op of a program, ready to be enqueued.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/opencl/kernel_args.hpp"
#include "backends/opencl/places.hpp"
#include "backends/opencl/runtime/kernel.hpp"
#include "tessera/op_facts.hpp"
#include "tessera/places.hpp"

namespace tessera::opencl {

class OpenClDevice;

// The step that runs.
struct Step {
  const tsr_submission& submission;
  const TensorPlaces& places;
  cl_mem fault;  // see kernels/base.cl
  Enqueue enqueue;
};

// A tensor as entries (of its leading dimension) of rows.
class TensorRows {
 public:
  TensorRows() = default;
  // Throws INVALID_ARGUMENT if there is no such tensor; TSR_NONE is none.
  TensorRows(const sdk::ProgramView& program, uint32_t id);

  bool exists() const { return id_ != TSR_NONE; }
  uint32_t dtype() const { return tensor_.dtype; }
  uint32_t width() const { return width_; }  // of the last dimension
  // Elements of one entry, and between entries.
  int64_t features() const { return int64_t{width_} * rows_per_entry_; }
  int64_t entry_stride() const { return stride_ * rows_per_entry_; }
  uint32_t max_entries() const { return tensor_.dims[0].max; }
  uint32_t entries(const Step& step) const;
  uint64_t rows(const Step& step) const {
    return uint64_t{entries(step)} * rows_per_entry_;
  }

  Place place(const Step& step) const { return step.places.at(id_); }
  // Its memory, or `nothing` if there is no such tensor.
  cl_mem memory(const Step& step, cl_mem nothing) const;
  uint64_t offset(const Step& step) const;
  // For kernels that go by rows of the last dimension, or by entries.
  RowPlace row_place(const Step& step) const;
  RowPlace entry_place(const Step& step) const;

 private:
  uint32_t id_ = TSR_NONE;
  tsr_tensor tensor_{};
  uint32_t width_ = 0;
  uint32_t rows_per_entry_ = 1;
  int64_t stride_ = 0;
};

class Launch {
 public:
  virtual ~Launch() = default;
  // Throws sdk::Error; a failed step leaves the tensors it wrote unspecified.
  virtual void enqueue(const Step& step) = 0;
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual std::string kernel_name() const = 0;
};

// Kernels that go by rows: a work-item takes a row, or a group of work-items
// does, as the device's form is.
struct RowKernel {
  Kernel kernel;
  size_t items = 1;  // for a row

  void run(const Step& step, uint64_t rows, size_t parts = 1) {
    kernel.run(step.enqueue, {rows * items, parts}, {items, 1});
  }
};

// What making a launch may look at.
struct LaunchInput {
  OpenClDevice& device;
  const sdk::ProgramView& program;
  const sdk::OpRecord& op;
  const sdk::OpFacts& facts;
  uint32_t index;  // of the op

  TensorRows rows(uint32_t tensor) const { return {program, tensor}; }
  // A kernel of `file`.cl of its own.
  Kernel kernel(const std::string& name, std::vector<std::string> files,
                const std::string& constants = "") const;
  // A kernel of <family>_block.cl or <family>_tile.cl, as the form is, after
  // the `shared` files.
  RowKernel row_kernel(const std::string& name,
                       const std::vector<std::string>& shared,
                       const std::string& family,
                       const std::string& constants = "") const;
};

// Throws INVALID_ARGUMENT, UNIMPLEMENTED or NOT_FOUND, saying why.
std::unique_ptr<Launch> make_launch(const LaunchInput& input);

// One per kind, in launch/<kind>.cpp.
std::unique_ptr<Launch> make_linear(const LaunchInput& input);
std::unique_ptr<Launch> make_attention(const LaunchInput& input);
std::unique_ptr<Launch> make_kv_append(const LaunchInput& input);
std::unique_ptr<Launch> make_row_op(const LaunchInput& input);

}  // namespace tessera::opencl
