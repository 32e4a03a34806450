// SPDX-License-Identifier: Apache-2.0
//
// A recorded program: its ops with everything resolved that does not change
// from step to step.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"
#include "backends/cpu/kernels/parallel.hpp"
#include "tessera/host_memory.hpp"
#include "tessera/record.hpp"

namespace tessera::cpu {

class CpuDevice;

// Throws INVALID_ARGUMENT unless `condition` holds.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw sdk::Error(TSR_INVALID_ARGUMENT, message);
}

// The sizes of the step that runs.
struct Step {
  uint32_t num_tokens = 0;
  uint32_t num_seqs = 0;
  uint32_t num_outputs = 0;
  uint32_t num_decode_tokens = 0;
};

// A tensor as rows of `width` elements, wherever its memory is in this step.
class TensorRows {
 public:
  TensorRows() = default;
  TensorRows(const tsr_tensor& tensor, char* const* base);

  uint32_t dtype() const { return dtype_; }
  int64_t width() const { return width_; }    // elements of the last dimension
  int64_t stride() const { return stride_; }  // elements between rows
  // Elements of one entry of the leading dimension, and between entries.
  int64_t features() const { return width_ * rows_per_entry_; }
  int64_t entry_stride() const { return stride_ * rows_per_entry_; }
  int64_t entries(const Step& step) const;
  int64_t rows(const Step& step) const {
    return entries(step) * rows_per_entry_;
  }
  uint32_t max_entries() const { return leading_.max; }

  void* data() const;
  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }

  ConstRows const_rows() const { return {data(), dtype_, stride_}; }
  Rows mutable_rows() const { return {data(), dtype_, stride_}; }
  ConstVector vector() const { return {data(), dtype_}; }

 private:
  uint32_t dtype_ = TSR_DTYPE_NONE;
  tsr_dim leading_{};
  int64_t width_ = 0;
  int64_t rows_per_entry_ = 1;
  int64_t stride_ = 0;
  uint64_t offset_bytes_ = 0;
  char* const* base_ = nullptr;
};

// What running an op needs besides the op.
struct RunContext {
  const Step& step;
  const Exec& exec;
  char* scratch;  // of the op's own scratch_bytes
};

// One op, ready to run.
class CompiledOp {
 public:
  virtual ~CompiledOp() = default;
  // Throws Error; a failed step leaves the tensors it wrote unspecified.
  virtual void run(const RunContext& context) const = 0;
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual std::string kernel_name() const = 0;
};

class Program {
 public:
  // Errors: throws INVALID_ARGUMENT for ids or bindings that do not exist,
  // UNIMPLEMENTED for ops this device does not run.
  Program(CpuDevice& device, const sdk::ProgramView& view);

  tsr_program_info info() const;
  tsr_segment segment(uint32_t index) const;

  // Runs one step.  With `records`, appends one per op.  One thread at a time.
  void run(const sdk::SubmissionView& submission, const Exec& exec,
           std::vector<tsr_kernel_record>* records);

 private:
  void bind(CpuDevice& device, const sdk::ProgramView& view);
  void apply_overrides(CpuDevice& device,
                       const sdk::SubmissionView& submission);
  void compile(CpuDevice& device, const sdk::ProgramView& view);
  void plan_memory(CpuDevice& device, const sdk::ProgramView& view);
  void check_step(const tsr_submission& submission) const;

  CpuDevice& device_;
  uint64_t id_;
  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  std::vector<uint64_t> bytes_;  // of each tensor that owns memory
  // bases_[t]: first byte of tensor t (of the tensor that a view looks into).
  std::vector<char*> bases_;
  std::vector<char*> default_bases_;      // without a submission's overrides
  std::vector<uint32_t> bound_by_steps_;  // used, and not in default_bases_
  std::vector<std::shared_ptr<sdk::HostBuffer>> buffers_;  // kept alive
  std::vector<std::unique_ptr<CompiledOp>> ops_;
  std::vector<uint64_t> scratch_offsets_;
  std::unique_ptr<sdk::HostBuffer> workspace_;
};

}  // namespace tessera::cpu
