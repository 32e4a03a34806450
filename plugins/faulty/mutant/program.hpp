// SPDX-License-Identifier: Apache-2.0
//
// A program of the mutant's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "kernels.hpp"
#include "tessera/places.hpp"

namespace mutant {

class MutantDevice;

class Program {
 public:
  Program(const tessera::sdk::ProgramView& program, MutantDevice& device);
  ~Program();

  void run(const tessera::sdk::SubmissionView& step);
  uint32_t num_ops() const { return static_cast<uint32_t>(kinds_.size()); }
  uint64_t workspace_bytes() const { return places_.workspace_bytes(); }

 private:
  struct Op {
    tsr_op_linear linear{};
    tsr_op_attention attention{};
    tsr_op_kv_append append{};
    tsr_op_norm norm{};
    tsr_op_rope rope{};
    tsr_op_elementwise elementwise{};
    tsr_op_softmax softmax{};
    tsr_op_gather gather{};
  };
  static Op read_op(const tessera::sdk::OpRecord& record);
  // Rows of `width` elements.
  Rows rows(uint32_t tensor, uint64_t width) const;
  uint64_t count_rows(uint32_t tensor, uint64_t width,
                      const tsr_submission& step) const;
  void run_op(uint32_t index, const tsr_submission& step);
  void run_linear(const tsr_op_linear& op, const tsr_submission& step);
  void run_attention(const tsr_op_attention& op, const tsr_submission& step);
  void run_append(const tsr_op_kv_append& op, const tsr_submission& step);
  void run_row_op(uint32_t kind, const Op& op, const tsr_submission& step);
  void misbehave(const tsr_submission& step);

  MutantDevice& device_;
  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  std::vector<uint32_t> kinds_;
  std::vector<Op> ops_;
  std::vector<tessera::sdk::OpRecord> records_;  // a fault's
  std::vector<std::shared_ptr<MutantWeight>> weights_;
  std::vector<std::shared_ptr<Pool>> pools_;
  tessera::sdk::TensorPlaces places_;
  std::shared_ptr<tessera::sdk::HostBuffer> scratch_;
  void* scratch_memory_ = nullptr;
  uint32_t num_steps_ = 0;
  mutable uint64_t most_rows_ = 0;
  tsr_submission first_{};
  tsr_submission last_{};
  std::map<uint32_t, uint32_t> times_of_size_;  // by num_tokens
  bool is_replay_ = false;
};

}  // namespace mutant
