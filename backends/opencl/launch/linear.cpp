// SPDX-License-Identifier: Apache-2.0
//
// Linear over a weight of this device: the input is prepared, then multiplied.

#include <string>

#include "backends/opencl/device.hpp"
#include "backends/opencl/launch/launch.hpp"
#include "backends/opencl/runtime/program_builder.hpp"
#include "backends/opencl/weights.hpp"

namespace tessera::opencl {
namespace {

constexpr uint32_t kPanel = 8;   // rows of x side by side, as linear_panel.cl
constexpr uint32_t kPanels = 8;  // of a work-item

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
    const std::string constants =
        kernel_constants(weight_->shape(), is_integer()) +
        linear_constants(device_.options().features, codes_are_s8()) +
        pair_constants();
    std::vector<std::string> files = {"linear", "linear_tile"};
    if (is_block()) files = {"linear", "linear_panel", "linear_block"};
    prepare_ = input.row_kernel("prepare_input", {"activation"}, "activation",
                                input_constants());
    row_ = input.kernel("linear_row", files, constants);
    rows_ = input.kernel("linear_rows", files, constants);
  }

  // Values of whole panels, then a scale per row.
  uint64_t scratch_bytes() const override {
    return (scales_offset(x_.max_entries()) + x_.max_entries() + kPanel) * 4;
  }

  std::string kernel_name() const override {
    return "linear_" + sdk::names::act_quant(op_.act_quant) + "_" +
           sdk::names::weight_format(weight_->shape().format);
  }

  void enqueue(const Step& step) override {
    const uint32_t M = x_.entries(step);
    if (M == 0) return;
    const Place scratch = step.places.scratch(index_);
    Input input{scratch.memory, scratch.offset / 4, 0};
    input.row_scales = input.values + scales_offset(M);
    if (reads_x_in_place(M)) {
      const Place place = x_.place(step);
      input.memory = place.memory;
      input.values = place.offset / 4;
    } else {
      prepare(step, M, input);
    }
    multiply(step, M, input);
  }

 private:
  // Rows ready for the products; offsets in floats.
  struct Input {
    cl_mem memory;
    uint64_t values;
    uint64_t row_scales;
  };

  bool is_block() const { return device_.options().form == Form::kBlock; }
  bool is_integer() const { return is_integer_act(op_.act_quant); }
  // True if q - zero_point and the weight's codes fit a byte each.
  bool codes_are_s8() const {
    if (!is_integer() || weight_->shape().has_zeros) return false;
    if (!sdk::packing::uses_static_act(op_.act_quant)) return true;
    return op_.act_quant != TSR_ACT_U8_STATIC &&
           weight_->static_activation()->zero_point == 0;
  }
  // No pair of columns may be of two groups.
  std::string pair_constants() const {
    const WeightShape& shape = weight_->shape();
    const bool has_pairs = shape.num_groups == 1 || shape.group_size % 2 == 0;
    const uint32_t pairs = device_.options().features.pairs;
    if (!is_block() || !is_integer() || !has_pairs || pairs == 0) return "";
    return define("PAIRS", pairs);
  }
  // What activation.cl is compiled for.
  std::string input_constants() const {
    return pair_constants() + define("X_DTYPE", x_.dtype()) +
           define("ACT_QUANT", op_.act_quant) +
           define("HAS_PERMUTATION", weight_->permutation() != nullptr) +
           define("HAS_MULTIPLIER", weight_->input_multiplier() != nullptr);
  }
  uint32_t panel(uint32_t M) const { return M == 1 ? 1 : kPanel; }
  uint32_t padded_rows(uint32_t M) const {
    return (M + panel(M) - 1) / panel(M) * panel(M);
  }
  uint64_t scales_offset(uint32_t M) const {
    return uint64_t{padded_rows(M)} * weight_->shape().K;
  }
  bool reads_x_in_place(uint32_t M) const {
    return M == 1 && op_.act_quant == TSR_ACT_FLOAT && x_.dtype() == TSR_F32 &&
           weight_->permutation() == nullptr &&
           weight_->input_multiplier() == nullptr;
  }

  cl_mem memory_of(const Buffer* buffer) const {
    return buffer == nullptr ? device_.nothing() : buffer->memory();
  }

  void prepare(const Step& step, uint32_t M, const Input& input) {
    ActivationArgs args;
    args.values_offset = input.values;
    args.scales_offset = input.row_scales;
    args.M = static_cast<cl_int>(M);
    args.K = static_cast<cl_int>(weight_->shape().K);
    args.panel = static_cast<cl_int>(panel(M));
    args.num_decode_rows =
        static_cast<cl_int>(step.submission.num_decode_tokens);
    if (sdk::packing::uses_static_act(op_.act_quant)) {
      const StaticActivation& parameters = *weight_->static_activation();
      args.zero_point = parameters.zero_point;
      args.static_scale = parameters.scale;
      args.static_inv = parameters.inv;
    }
    Kernel& kernel = prepare_.kernel;
    kernel.arg(x_.memory(step, device_.nothing())).arg(x_.entry_place(step));
    kernel.arg(input.memory).arg(memory_of(weight_->permutation()));
    kernel.arg(memory_of(weight_->input_multiplier())).arg(args);
    // A work-item takes a panel, a group a row.
    const uint32_t rows = padded_rows(M);
    prepare_.run(step, prepare_.items == 1 ? rows / panel(M) : rows);
  }

  void multiply(const Step& step, uint32_t M, const Input& input) {
    const LinearArgs args = linear_args(step, M, input);
    Kernel& kernel = M == 1 ? row_ : rows_;
    const cl_mem nothing = device_.nothing();
    kernel.arg(weight_->memory()).arg(input.memory).arg(args);
    kernel.arg(y_.memory(step, nothing)).arg(bias_.memory(step, nothing));
    kernel.arg(multiplier_.memory(step, nothing));
    kernel.arg(residual_.memory(step, nothing));
    kernel.arg(memory_of(weight_->quant_bias()));
    const uint32_t first = op_.n_begin / kTileRows;
    const size_t tiles = (n_end_ + kTileRows - 1) / kTileRows - first;
    if (!is_block()) {
      run_tiles(step, kernel, M, tiles);
    } else if (M == 1) {
      kernel.run(step.enqueue, {tiles, 1});
    } else {
      const uint32_t rows = kPanel * kPanels;
      kernel.run(step.enqueue, {(tiles + 1) / 2, (M + rows - 1) / rows});
    }
  }

  // Groups of 16 x 16 work-items, as linear_tile.cl.
  static void run_tiles(const Step& step, Kernel& kernel, uint32_t M,
                        size_t tiles) {
    constexpr size_t kItems = 16;
    constexpr size_t kSide = 64;  // of y that a group computes
    if (M == 1) {
      kernel.run(step.enqueue, {kItems, kItems * tiles}, {kItems, kItems});
      return;
    }
    const size_t across = (tiles * kTileRows + kSide - 1) / kSide;
    const size_t down = (M + kSide - 1) / kSide;
    kernel.run(step.enqueue, {kItems * across, kItems * down},
               {kItems, kItems});
  }

  LinearArgs linear_args(const Step& step, uint32_t M,
                         const Input& input) const {
    const WeightShape& shape = weight_->shape();
    const uint64_t base = weight_->offset();
    LinearArgs args;
    args.codes_offset = base;
    args.scales_offset = base + shape.scales_offset;
    args.zeros_offset = base + shape.zeros_offset;
    args.mins_offset = base + shape.mins_offset;
    args.scale2_offset = base + shape.scale2_offset;
    args.tile_bytes = shape.tile_bytes;
    args.values_offset = input.values;
    args.row_scales_offset = input.row_scales;
    args.bias_offset = bias_.offset(step);
    args.y = y_.entry_place(step);
    args.multiplier = multiplier_.entry_place(step);
    args.residual = residual_.entry_place(step);
    args.M = static_cast<cl_int>(M);
    args.K = static_cast<cl_int>(shape.K);
    args.n_begin = static_cast<cl_int>(op_.n_begin);
    args.n_end = static_cast<cl_int>(n_end_);
    args.group_size = static_cast<cl_int>(shape.group_size);
    args.padded_group = static_cast<cl_int>(shape.padded_group);
    args.num_groups = static_cast<cl_int>(shape.num_groups);
    args.activation = static_cast<cl_int>(op_.activation);
    args.accumulate = (op_.flags & TSR_LINEAR_ACCUMULATE) != 0 ? 1 : 0;
    args.has_bias = bias_.exists() ? 1 : 0;
    args.has_quant_bias = weight_->quant_bias() != nullptr ? 1 : 0;
    args.has_scale2 = shape.has_scale2 ? 1 : 0;
    return args;
  }

  OpenClDevice& device_;
  tsr_op_linear op_;
  uint32_t index_;
  uint32_t n_end_;
  std::shared_ptr<PackedWeight> weight_;
  TensorRows x_;
  TensorRows y_;
  TensorRows bias_;
  TensorRows multiplier_;
  TensorRows residual_;
  RowKernel prepare_;
  Kernel row_;
  Kernel rows_;
};

}  // namespace

std::unique_ptr<Launch> make_linear(const LaunchInput& input) {
  return std::make_unique<LinearLaunch>(input, input.op.as<tsr_op_linear>());
}

}  // namespace tessera::opencl
