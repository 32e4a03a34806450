// SPDX-License-Identifier: Apache-2.0
//
// Linear over a weight of this device: the input is prepared, then multiplied.

#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/launch.hpp"
#include "backends/vulkan/weights.hpp"
#include "tessera/names.hpp"

namespace tessera::vulkan {
namespace {

// Of an invocation, where M > 1 and where there are enough tiles.
constexpr uint32_t kManyRows = 4;
constexpr uint32_t kManyColumns = 4;

using sdk::packing::is_integer_act;

class LinearLaunch final : public Launch {
 public:
  LinearLaunch(const LaunchInput& input, const tsr_op_linear& op)
      : device_(input.device),
        op_(op),
        index_(input.index),
        n_end_(input.facts.n_end),
        weight_(device_.weight(input.program.weights()[op.weight])),
        x_(input.rows(op.x)),
        y_(input.rows(op.y)),
        bias_(input.rows(op.bias)),
        multiplier_(input.rows(op.multiplier)),
        residual_(input.rows(op.residual)) {
    sdk::packing::check_linear(weight_->shape(), weight_->static_activation(),
                               op.act_quant, y_.dtype() == TSR_I32);
    std::vector<uint32_t> constants =
        linear_constants(weight_->shape(), is_integer_act(op.act_quant));
    // A GPU needs more work-groups than wide ones leave.
    const bool is_wide = device_.gpu().facts().is_cpu &&
                         weight_->shape().num_tiles() >= kManyColumns;
    columns_ = is_wide ? kManyColumns : 1;
    constants.push_back(1);
    constants.push_back(columns_);
    prepare_ = input.pipeline("activation", {});
    one_row_ = input.pipeline("linear", constants);
    constants[constants.size() - 2] = kManyRows;
    many_rows_ = input.pipeline("linear", constants);
  }

  std::vector<VkPipeline> pipelines() const override {
    return {prepare_, one_row_, many_rows_};
  }

  // The values, whole blocks of rows, and a scale for each.
  uint64_t scratch_bytes() const override {
    return (scales_offset() + padded_rows()) * sizeof(float);
  }

  std::string kernel_name() const override {
    return "linear_" + sdk::names::act_quant(op_.act_quant) + "_" +
           sdk::names::weight_format(weight_->shape().format);
  }

  void fill(const Step& step, DispatchSlot* slots) override {
    const uint32_t M = x_.entries(step);
    const ActivationArgs activation = activation_args(step, M);
    const LinearArgs args = linear_args(step, M, activation);
    const uint32_t first = op_.n_begin / kTileRows;
    const uint32_t tiles = (n_end_ + kTileRows - 1) / kTileRows - first;
    const uint32_t groups = (tiles + columns_ - 1) / columns_;
    const uint32_t blocks = M == 1 ? 0 : (M + kManyRows - 1) / kManyRows;
    set_slot(slots[0], row_groups(M), 1, activation);
    set_slot(slots[1], groups, M == 1 ? 1 : 0, args);
    set_slot(slots[2], groups, blocks, args);
  }

 private:
  uint64_t padded_rows() const {
    return (uint64_t{x_.max_entries()} + kManyRows - 1) / kManyRows * kManyRows;
  }
  uint64_t scales_offset() const {
    return padded_rows() * weight_->shape().columns();
  }

  static uint64_t address_of(const Buffer* buffer) {
    return buffer == nullptr ? 0 : buffer->address();
  }

  ActivationArgs activation_args(const Step& step, uint32_t M) const {
    const WeightShape& shape = weight_->shape();
    ActivationArgs args;
    args.x = x_.entry_place(step);
    args.values = step.places.scratch(index_);
    args.scales = args.values + scales_offset() * sizeof(float);
    args.permutation = address_of(weight_->permutation());
    args.multiplier = address_of(weight_->input_multiplier());
    args.rows = static_cast<int32_t>(M);
    args.K = static_cast<int32_t>(shape.K);
    args.columns = static_cast<int32_t>(shape.columns());
    args.group_size = static_cast<int32_t>(shape.group_size);
    args.padded_group = static_cast<int32_t>(shape.padded_group);
    args.act_quant = static_cast<int32_t>(op_.act_quant);
    args.num_decode_rows =
        static_cast<int32_t>(step.submission.num_decode_tokens);
    if (sdk::packing::uses_static_act(op_.act_quant)) {
      const StaticActivation& parameters = *weight_->static_activation();
      args.zero_point = parameters.zero_point;
      args.static_scale = parameters.scale;
      args.static_inv = parameters.inv;
    }
    return args;
  }

  LinearArgs linear_args(const Step& step, uint32_t M,
                         const ActivationArgs& activation) const {
    const WeightShape& shape = weight_->shape();
    const uint64_t base = weight_->address();
    LinearArgs args;
    args.codes = base;
    args.scales = base + shape.scales_offset;
    args.zeros = base + shape.zeros_offset;
    args.mins = base + shape.mins_offset;
    if (shape.has_scale2) args.scale2 = base + shape.scale2_offset;
    args.quant_bias = address_of(weight_->quant_bias());
    args.bias = bias_.address(step);
    args.values = activation.values;
    args.row_scales = activation.scales;
    args.y = y_.entry_place(step);
    args.multiplier = multiplier_.entry_place(step);
    args.residual = residual_.entry_place(step);
    args.tile_bytes = shape.tile_bytes;
    args.M = static_cast<int32_t>(M);
    args.columns = activation.columns;
    args.n_begin = static_cast<int32_t>(op_.n_begin);
    args.n_end = static_cast<int32_t>(n_end_);
    args.num_groups = static_cast<int32_t>(shape.num_groups);
    args.group_chunks =
        static_cast<int32_t>(shape.padded_group / shape.chunk_values);
    args.activation = static_cast<int32_t>(op_.activation);
    args.accumulate = (op_.flags & TSR_LINEAR_ACCUMULATE) != 0 ? 1 : 0;
    return args;
  }

  VulkanDevice& device_;
  tsr_op_linear op_;
  uint32_t index_;
  uint32_t n_end_;
  uint32_t columns_ = 1;  // of an invocation
  std::shared_ptr<PackedWeight> weight_;
  TensorRows x_;
  TensorRows y_;
  TensorRows bias_;
  TensorRows multiplier_;
  TensorRows residual_;
  VkPipeline prepare_;
  VkPipeline one_row_;
  VkPipeline many_rows_;
};

}  // namespace

std::unique_ptr<Launch> make_linear(const LaunchInput& input) {
  return std::make_unique<LinearLaunch>(input, input.op.as<tsr_op_linear>());
}

}  // namespace tessera::vulkan
