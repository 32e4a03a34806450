// SPDX-License-Identifier: Apache-2.0
//
// A small program to be tested: tensors with contents, ops, and one step.

#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/record_growth.hpp"
#include "framework/format/weight.hpp"
#include "framework/host/device/record_builder.hpp"
#include "tessera/ops.h"

namespace tessera::conformance {

// What outputs hold before a step: NaN in every float type.
inline constexpr std::byte kPoison{0xff};

struct TensorShape {
  std::vector<tsr_dim> dims;
  uint32_t row_stride = 0;
  uint32_t role = TSR_ROLE_VALUE;
  bool constant = false;  // bound when the program is created
};

struct SetupTensor {
  std::string name;
  tsr_tensor tensor{};
  std::vector<std::byte> contents;  // before the step, gaps included
  bool is_output = false;
  bool in_pool = false;

  uint32_t cols() const;
  uint64_t stride() const;  // elements from row to row
  uint64_t rows() const;    // at the maximum
};

class OpSetup {
 public:
  // Values of a float type, rounded to it; as many as the shape has elements.
  uint32_t add_floats(const std::string& name, uint32_t dtype,
                      const TensorShape& shape,
                      const std::vector<float>& values);
  uint32_t add_ints(const std::string& name, const TensorShape& shape,
                    const std::vector<int32_t>& values);
  // Poisoned.
  uint32_t add_output(const std::string& name, uint32_t dtype,
                      const TensorShape& shape);
  uint32_t add_transient(const std::string& name, uint32_t dtype,
                         const TensorShape& shape);
  // A window of the shape into tensor `owner`.
  uint32_t add_view(const std::string& name, uint32_t owner,
                    const TensorShape& shape, uint32_t offset);
  // Marks a tensor that the step both reads and writes.
  void set_output(uint32_t id) { tensors_[id].is_output = true; }

  template <typename Op>
  void add_op(const Op& op) {
    builder_.add_op(op);
  }
  // Return the index that ops name them by.
  uint32_t add_weight(format::WeightData weight);
  uint32_t add_kv_pool(const tsr_kv_desc& desc);
  void set_limits(uint32_t max_tokens, uint32_t max_seqs, uint32_t max_outputs,
                  uint32_t max_blocks_per_seq);
  void set_phases(uint32_t phases) { builder_.set_phases(phases); }

  // The program over objects of those ids, and tensors bound for good.
  std::vector<std::byte> record(std::span<const uint64_t> weights,
                                std::span<const uint64_t> kv_pools,
                                std::span<const tsr_binding> bindings) const;
  // With ids that do not exist, to be asked about.
  std::vector<std::byte> question() const;

  // What the tensor holds before the step as f32, dense.
  std::vector<float> floats(uint32_t id) const;
  const SetupTensor& tensor(uint32_t id) const { return tensors_[id]; }
  const std::vector<SetupTensor>& tensors() const { return tensors_; }
  const std::vector<format::WeightData>& weights() const { return weights_; }
  const std::vector<tsr_kv_desc>& kv_pools() const { return kv_pools_; }

  tsr_submission step{};  // num_tokens and what follows it
  // Rewrite the records as another version would; null: as they are.
  RecordEdit edit_program;
  RecordEdit edit_submission;

 private:
  uint32_t add(SetupTensor tensor);

  std::vector<SetupTensor> tensors_;
  ProgramBuilder builder_;
  std::vector<format::WeightData> weights_;
  std::vector<tsr_kv_desc> kv_pools_;
};

tsr_dim fixed_dim(uint32_t size);
tsr_dim token_dim(uint32_t max);

// Reads rows x cols elements of a tensor's memory, dense.
std::vector<double> read_values(const tsr_tensor& tensor,
                                std::span<const std::byte> memory,
                                uint64_t rows);

std::vector<float> normal_values(size_t count, float scale, std::mt19937& rng);

}  // namespace tessera::conformance
