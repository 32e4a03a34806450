// SPDX-License-Identifier: Apache-2.0
//
// What the forms of linear share: the operands, and the arguments that shaders
// read.

#pragma once

#include <string>

#include "backends/vulkan/launch/launch.hpp"
#include "backends/vulkan/weights.hpp"

namespace tessera::vulkan {

class LinearLaunch : public Launch {
 public:
  // `padded_rows` of x, and a scale and a shift for each, are this op's scratch.
  //
  // Errors  throws as sdk::packing::check_linear
  LinearLaunch(const LaunchInput& input, const tsr_op_linear& op,
               uint32_t row_multiple);

  uint64_t scratch_bytes() const override;
  std::string kernel_name() const override;

 protected:
  VulkanDevice& device() const { return device_; }
  const tsr_op_linear& op() const { return op_; }
  const PackedWeight& weight() const { return *weight_; }
  const WeightShape& shape() const { return weight_->shape(); }
  const TensorRows& x() const { return x_; }
  const TensorRows& y() const { return y_; }
  uint32_t index() const { return index_; }
  bool is_integer() const;
  // True if y is f32 and no more than the scaled products.
  bool has_epilogue() const;
  // Tiles of W from n_begin's to n_end's.
  uint32_t num_tiles() const;
  // Of scratch: the values' bytes.
  uint64_t values_bytes() const;

  ActivationArgs activation_args(const Step& step, uint32_t M) const;
  LinearArgs linear_args(const Step& step, uint32_t M) const;

 private:
  uint64_t padded_rows() const;

  VulkanDevice& device_;
  tsr_op_linear op_;
  uint32_t index_;
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
