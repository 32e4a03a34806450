// SPDX-License-Identifier: Apache-2.0
//
// What the forms of linear share: the operands, and the arguments that shaders
// read.

#pragma once

#include <cstdint>
#include <string>

#include "backends/vulkan/launch/launch.hpp"
#include "backends/vulkan/weights.hpp"

namespace tessera::vulkan {

// In blocks: rows of x that a work-group has at most.
constexpr uint32_t kMostBlockRows = 16;

// W8A8SC in blocks, for steps of at least so many rows: a panel of W is
// expanded to s8, then multiplied, then the next.
constexpr uint32_t kRowsToExpand = 32;

class LinearLaunch : public Launch {
 public:
  // `padded_rows` of x, and a scale and a shift for each, are this op's
  // scratch.
  //
  // Errors  throws as sdk::packing::check_linear, and UNIMPLEMENTED where the
  //         driver's loops do not go as far as K
  LinearLaunch(const LaunchInput& input, const tsr_op_linear& op,
               uint32_t row_multiple);

  uint64_t scratch_bytes() const override;
  std::string kernel_name() const override;
  std::vector<uint64_t> input_key() const override;
  void share_input(uint32_t first) override { input_op_ = first; }

 protected:
  // What tells this form's arrangement of the values from others.
  virtual uint64_t arrangement() const = 0;
  bool shares_input() const { return input_op_ != index_; }
  uint32_t index() const { return index_; }  // of the op, which has the scratch
  TexelRange scratch_texels(const Step& step, uint64_t bytes) const {
    return step.places.scratch_texels(input_op_, 0, bytes);
  }

  VulkanDevice& device() const { return device_; }
  const tsr_op_linear& op() const { return op_; }
  const PackedWeight& weight() const { return *weight_; }
  const WeightShape& shape() const { return weight_->shape(); }
  const TensorRows& x() const { return x_; }
  const TensorRows& y() const { return y_; }
  bool is_integer() const;
  // What becomes of the sums of products, as shaders/linear_block.comp numbers
  // it: anything; f32 as they are; f32 times the scales of row and column.
  enum class Epilogue : uint32_t { kAny = 0, kNone = 1, kScales = 2 };
  Epilogue epilogue() const;
  // Tiles of W from n_begin's to n_end's.
  uint32_t num_tiles() const;
  // Of scratch: the values' bytes, and those of all that follows them too.
  uint64_t values_bytes() const;
  uint64_t input_bytes() const;

  ActivationArgs activation_args(const Step& step, uint32_t M) const;
  LinearArgs linear_args(const Step& step, uint32_t M) const;

 private:
  uint64_t padded_rows() const;
  void require_iterations() const;

  VulkanDevice& device_;
  tsr_op_linear op_;
  uint32_t index_;
  uint32_t input_op_;  // whose scratch holds the values
  uint32_t n_end_;
  uint32_t row_multiple_;
  std::shared_ptr<PackedWeight> weight_;
  TensorRows x_;
  TensorRows y_;
  TensorRows bias_;
  TensorRows multiplier_;
  TensorRows residual_;
};

// Where each form is made; see Features::form.
std::unique_ptr<Launch> make_linear_tile(const LaunchInput& input,
                                         const tsr_op_linear& op);
// Null if the weight cannot be read as texels.
std::unique_ptr<Launch> make_linear_block(const LaunchInput& input,
                                          const tsr_op_linear& op);

}  // namespace tessera::vulkan
