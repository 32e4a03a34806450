// SPDX-License-Identifier: Apache-2.0

#include <bit>
#include <string>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/linear_launch.hpp"
#include "tessera/names.hpp"

namespace tessera::vulkan {
namespace {

// Chunks of linear.comp's spans, of 32 columns at most.
constexpr uint64_t kLeastSpan = 32;
// Columns of linear_block.comp's parts, where a chunk has several.
constexpr uint64_t kLeastPart = 8;

uint64_t address_of(const Buffer* buffer) {
  return buffer == nullptr ? 0 : buffer->address();
}

}  // namespace

LinearLaunch::LinearLaunch(const LaunchInput& input, const tsr_op_linear& op,
                           uint32_t row_multiple)
    : device_(input.device),
      op_(op),
      index_(input.index),
      input_op_(input.index),
      n_end_(input.facts.n_end),
      row_multiple_(row_multiple),
      weight_(device_.weight(input.program.weights()[op.weight])),
      x_(input.rows(op.x)),
      y_(input.rows(op.y)),
      bias_(input.rows(op.bias)),
      multiplier_(input.rows(op.multiplier)),
      residual_(input.rows(op.residual)) {
  sdk::packing::check_linear(weight_->shape(), weight_->static_activation(),
                             op.act_quant, y_.dtype() == TSR_I32);
  require_iterations();
}

// Each group is a loop over its chunks, in spans of a few, and a chunk may be
// one over its parts.
void LinearLaunch::require_iterations() const {
  const uint64_t most = device_.gpu().facts().most_iterations;
  const uint64_t chunks = shape().padded_group / shape().chunk_values;
  uint64_t group = chunks + chunks / kLeastSpan + 2;
  if (shape().chunk_values > kLeastPart) {
    group += shape().padded_group / kLeastPart;
  }
  // Every code of a row may be an escape, and each book has a loop.
  if (shape().code == sdk::packing::Code::kBook) {
    group += shape().padded_group + chunks;
  }
  constexpr uint64_t kOthers = 1024;  // at its ends
  if (most == 0 || shape().num_groups * group + kOthers <= most) return;
  throw sdk::Error(TSR_UNIMPLEMENTED,
                   "K = " + std::to_string(shape().K) +
                       " takes more than the " + std::to_string(most) +
                       " iterations that this driver gives a shader");
}

uint64_t LinearLaunch::padded_rows() const {
  return (uint64_t{x_.max_entries()} + row_multiple_ - 1) / row_multiple_ *
         row_multiple_;
}

uint64_t LinearLaunch::values_bytes() const {
  return padded_rows() * shape().columns() * sizeof(float);
}

uint64_t LinearLaunch::scratch_bytes() const {
  return shares_input() ? 0 : input_bytes();
}

uint64_t LinearLaunch::input_bytes() const {
  return values_bytes() + padded_rows() * (sizeof(float) + sizeof(int32_t));
}

std::vector<uint64_t> LinearLaunch::input_key() const {
  if (weight_->permutation() != nullptr ||
      weight_->input_multiplier() != nullptr) {
    return {};
  }
  std::vector<uint64_t> key = {
      x_.id(),   op_.act_quant,      arrangement(),       row_multiple_,
      shape().K, shape().group_size, shape().padded_group};
  if (sdk::packing::uses_static_act(op_.act_quant)) {
    const StaticActivation& parameters = *weight_->static_activation();
    key.push_back(static_cast<uint32_t>(parameters.zero_point));
    key.push_back(std::bit_cast<uint32_t>(parameters.scale));
    key.push_back(std::bit_cast<uint32_t>(parameters.inv));
  }
  return key;
}

std::string LinearLaunch::kernel_name() const {
  return "linear_" + sdk::names::act_quant(op_.act_quant) + "_" +
         sdk::names::weight_format(shape().format);
}

bool LinearLaunch::is_integer() const {
  return sdk::packing::is_integer_act(op_.act_quant);
}

LinearLaunch::Epilogue LinearLaunch::epilogue() const {
  if (y_.dtype() != TSR_F32 || bias_.exists() || multiplier_.exists() ||
      residual_.exists() || op_.activation != TSR_EPILOGUE_NONE ||
      (op_.flags & TSR_LINEAR_ACCUMULATE) != 0 || shape().has_scale2) {
    return Epilogue::kAny;
  }
  const bool has_channels = shape().is_per_channel() && shape().scale_bits != 0;
  if (!is_integer()) return has_channels ? Epilogue::kAny : Epilogue::kNone;
  return has_channels && weight_->quant_bias() == nullptr ? Epilogue::kScales
                                                          : Epilogue::kAny;
}

uint32_t LinearLaunch::num_tiles() const {
  return (n_end_ + kTileRows - 1) / kTileRows - op_.n_begin / kTileRows;
}

ActivationArgs LinearLaunch::activation_args(const Step& step,
                                             uint32_t M) const {
  ActivationArgs args;
  args.x = x_.entry_place(step);
  args.values = step.places.scratch(input_op_);
  args.scales = args.values + values_bytes();
  args.shifts = args.scales + padded_rows() * sizeof(float);
  args.permutation = address_of(weight_->permutation());
  args.multiplier = address_of(weight_->input_multiplier());
  args.rows = static_cast<int32_t>(M);
  args.K = static_cast<int32_t>(shape().K);
  args.columns = static_cast<int32_t>(shape().columns());
  args.group_size = static_cast<int32_t>(shape().group_size);
  args.padded_group = static_cast<int32_t>(shape().padded_group);
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

LinearArgs LinearLaunch::linear_args(const Step& step, uint32_t M) const {
  const uint64_t base = weight_->address();
  LinearArgs args;
  args.codes = base;
  args.scales = base + shape().scales_offset;
  args.zeros = base + shape().zeros_offset;
  args.mins = base + shape().mins_offset;
  args.books = base + shape().books_offset;
  args.starts = base + shape().starts_offset;
  args.escapes = base + shape().escapes_offset;
  if (shape().has_scale2) args.scale2 = base + shape().scale2_offset;
  args.quant_bias = address_of(weight_->quant_bias());
  args.bias = bias_.address(step);
  args.values = step.places.scratch(input_op_);
  args.row_scales = args.values + values_bytes();
  args.row_shifts = args.row_scales + padded_rows() * sizeof(float);
  args.y = y_.entry_place(step);
  args.multiplier = multiplier_.entry_place(step);
  args.residual = residual_.entry_place(step);
  args.tile_bytes = shape().tile_bytes;
  args.M = static_cast<int32_t>(M);
  args.columns = static_cast<int32_t>(shape().columns());
  args.n_begin = static_cast<int32_t>(op_.n_begin);
  args.n_end = static_cast<int32_t>(n_end_);
  args.num_groups = static_cast<int32_t>(shape().num_groups);
  args.group_chunks =
      static_cast<int32_t>(shape().padded_group / shape().chunk_values);
  args.activation = static_cast<int32_t>(op_.activation);
  args.accumulate = (op_.flags & TSR_LINEAR_ACCUMULATE) != 0 ? 1 : 0;
  args.first_tile = static_cast<int32_t>(op_.n_begin / kTileRows);
  return args;
}

std::unique_ptr<Launch> make_linear(const LaunchInput& input) {
  const auto op = input.op.as<tsr_op_linear>();
  if (input.device.features().form == Form::kBlock) {
    auto launch = make_linear_block(input, op);
    if (launch != nullptr) return launch;
  }
  return make_linear_tile(input, op);
}

}  // namespace tessera::vulkan
