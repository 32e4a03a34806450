// SPDX-License-Identifier: Apache-2.0
//
// The small ops: each is one dispatch over the rows of a step.

#include <string>
#include <utility>

#include "backends/vulkan/device.hpp"
#include "backends/vulkan/launch/launch.hpp"
#include "tessera/names.hpp"

namespace tessera::vulkan {
namespace {

// A launch from a function that fills the slot of one step.
template <typename Fill>
class RowLaunch final : public Launch {
 public:
  RowLaunch(VkPipeline pipeline, std::string name, Fill fill)
      : pipeline_(pipeline), name_(std::move(name)), fill_(std::move(fill)) {}
  Dispatch dispatch(const Step& /*step*/, uint32_t /*slot*/) override {
    return {pipeline_, {}};
  }
  void fill(const Step& step, DispatchSlot* slots) override {
    fill_(step, slots[0]);
  }
  std::string kernel_name() const override { return name_; }

 private:
  VkPipeline pipeline_;
  std::string name_;
  Fill fill_;
};

template <typename Fill>
std::unique_ptr<Launch> row_launch(const LaunchInput& input,
                                   VkPipeline pipeline, Fill fill) {
  return std::make_unique<RowLaunch<Fill>>(
      pipeline, sdk::names::op(input.op.kind()), std::move(fill));
}

int32_t int_of(uint64_t value) { return static_cast<int32_t>(value); }

// As shaders/norm.comp numbers them.
enum NormKind : uint32_t { kRms = 0, kLayer = 1, kSoftmax = 2 };

std::string norm_shader(const LaunchInput& input) {
  const bool blocks = input.device.features().form == Form::kBlock;
  return blocks ? "norm_block" : "norm";
}

std::unique_ptr<Launch> make_norm(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_norm>();
  const bool layer = input.op.kind() == TSR_OP_LAYER_NORM;
  const TensorRows x = input.rows(o.x);
  const TensorRows y = input.rows(o.y);
  const TensorRows weight = input.rows(o.weight);
  const TensorRows bias = layer ? input.rows(o.bias) : TensorRows();
  return row_launch(
      input,
      input.pipeline(norm_shader(input),
                     {layer ? kLayer : kRms, x.dtype(), y.dtype(),
                      weight.dtype(), bias.dtype()}),
      [eps = o.eps, x, y, weight, bias](const Step& step, DispatchSlot& slot) {
        NormArgs args{x.row_place(step),
                      y.row_place(step),
                      weight.row_place(step),
                      bias.row_place(step),
                      int_of(x.rows(step)),
                      int_of(x.width()),
                      eps,
                      0};
        set_slot(slot, row_groups(x.rows(step)), 1, args);
      });
}

std::unique_ptr<Launch> make_softmax(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_softmax>();
  const TensorRows x = input.rows(o.x);
  const TensorRows y = input.rows(o.y);
  return row_launch(
      input,
      input.pipeline(norm_shader(input), {kSoftmax, x.dtype(), y.dtype()}),
      [x, y, scale = o.scale](const Step& step, DispatchSlot& slot) {
        NormArgs args;
        args.x = x.row_place(step);
        args.y = y.row_place(step);
        args.rows = int_of(x.rows(step));
        args.width = int_of(x.width());
        args.factor = scale;
        set_slot(slot, row_groups(x.rows(step)), 1, args);
      });
}

std::unique_ptr<Launch> make_rope(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_rope>();
  const TensorRows x = input.rows(o.x);
  const TensorRows y = input.rows(o.y);
  return row_launch(
      input, input.pipeline("rope", {x.dtype(), y.dtype(), o.style}),
      [o, x, y, positions = input.rows(o.positions),
       table = input.rows(o.table)](const Step& step, DispatchSlot& slot) {
        RopeArgs args;
        args.x = x.entry_place(step);
        args.y = y.entry_place(step);
        args.rotate = {positions.address(step),
                       table.address(step),
                       int_of(o.style),
                       int_of(o.rotary_dim),
                       int_of(table.max_entries()),
                       int_of(x.width())};
        args.fault = step.fault;
        const auto features = static_cast<uint64_t>(x.features());
        set_slot(slot, x.entries(step), features / x.width(), args);
      });
}

// As shaders/map.comp numbers them.
enum MapKind : uint32_t {
  kAdd = 0,
  kSiluMul = 1,
  kGeluErf = 2,
  kGeluTanh = 3,
  kGather = 4
};

MapKind map_kind_of(uint32_t kind, uint32_t variant) {
  if (kind == TSR_OP_ADD) return kAdd;
  if (kind == TSR_OP_SILU_MUL) return kSiluMul;
  return variant == TSR_EPILOGUE_GELU_ERF ? kGeluErf : kGeluTanh;
}

std::unique_ptr<Launch> make_map(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  const bool one_input = input.op.kind() == TSR_OP_GELU;
  const TensorRows a = input.rows(o.a);
  const TensorRows b = one_input ? TensorRows() : input.rows(o.b);
  const TensorRows y = input.rows(o.y);
  return row_launch(
      input,
      input.pipeline("map", {map_kind_of(input.op.kind(), o.variant), a.dtype(),
                             b.dtype(), y.dtype()}),
      [a, b, y](const Step& step, DispatchSlot& slot) {
        MapArgs args;
        args.a = a.row_place(step);
        args.b = b.row_place(step);
        args.y = y.row_place(step);
        args.rows = int_of(y.rows(step));
        args.width = int_of(a.width());
        set_slot(slot, row_groups(y.rows(step)), 1, args);
      });
}

std::unique_ptr<Launch> make_gather(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_gather>();
  const TensorRows table = input.rows(o.table);
  const TensorRows y = input.rows(o.y);
  return row_launch(
      input, input.pipeline("map", {kGather, table.dtype(), 0, y.dtype()}),
      [table, ids = input.rows(o.rows), y](const Step& step,
                                           DispatchSlot& slot) {
        MapArgs args;
        args.a = table.entry_place(step);
        args.y = y.entry_place(step);
        args.ids = ids.address(step);
        args.fault = step.fault;
        args.rows = int_of(y.entries(step));
        args.width = int_of(static_cast<uint64_t>(y.features()));
        args.table_rows = int_of(table.entries(step));
        set_slot(slot, row_groups(y.entries(step)), 1, args);
      });
}

}  // namespace

std::unique_ptr<Launch> make_row_op(const LaunchInput& input) {
  switch (input.op.kind()) {
    case TSR_OP_RMS_NORM:
    case TSR_OP_LAYER_NORM:
      return make_norm(input);
    case TSR_OP_ROPE:
      return make_rope(input);
    case TSR_OP_ADD:
    case TSR_OP_SILU_MUL:
    case TSR_OP_GELU:
      return make_map(input);
    case TSR_OP_SOFTMAX:
      return make_softmax(input);
    case TSR_OP_EMBEDDING:
    case TSR_OP_GATHER_ROWS:
      return make_gather(input);
    default:
      throw sdk::Error(TSR_UNIMPLEMENTED, "no kernel for op kind " +
                                              std::to_string(input.op.kind()));
  }
}

}  // namespace tessera::vulkan
