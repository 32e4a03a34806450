// SPDX-License-Identifier: Apache-2.0
//
// The small ops: each is one kernel over the rows of a step.

#include <string>
#include <utility>

#include "backends/opencl/device.hpp"
#include "backends/opencl/launch/launch.hpp"

namespace tessera::opencl {
namespace {

// A launch from a function that enqueues one step.
template <typename Run>
class RowLaunch final : public Launch {
 public:
  RowLaunch(RowKernel kernel, std::string name, Run run)
      : kernel_(std::move(kernel)),
        name_(std::move(name)),
        run_(std::move(run)) {}
  void enqueue(const Step& step) override {
    run_(kernel_, kernel_.kernel, step);
  }
  std::string kernel_name() const override { return name_; }

 private:
  RowKernel kernel_;
  std::string name_;
  Run run_;
};

template <typename Run>
std::unique_ptr<Launch> row_launch(const LaunchInput& input, RowKernel kernel,
                                   Run run) {
  return std::make_unique<RowLaunch<Run>>(
      std::move(kernel), sdk::names::op(input.op.kind()), std::move(run));
}

// Groups that share a row of `width` elements, as elementwise_tile.cl.
size_t parts_of(const RowKernel& kernel, uint64_t width) {
  constexpr uint64_t kPart = 1024;
  return kernel.items == 1 ? 1 : (width + kPart - 1) / kPart;
}

cl_int int_of(uint64_t value) { return static_cast<cl_int>(value); }

std::unique_ptr<Launch> make_norm(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_norm>();
  const bool layer = input.op.kind() == TSR_OP_LAYER_NORM;
  return row_launch(
      input, input.row_kernel(layer ? "layer_norm" : "rms_norm", {}, "rows"),
      [layer, o, x = input.rows(o.x), y = input.rows(o.y),
       weight = input.rows(o.weight),
       bias = layer ? input.rows(o.bias) : TensorRows(),
       nothing = input.device.nothing()](RowKernel& rows, Kernel& kernel,
                                         const Step& step) {
        kernel.arg(x.memory(step, nothing)).arg(x.row_place(step));
        kernel.arg(y.memory(step, nothing)).arg(y.row_place(step));
        kernel.arg(weight.memory(step, nothing)).arg(weight.row_place(step));
        if (layer) {
          kernel.arg(bias.memory(step, nothing)).arg(bias.row_place(step));
        }
        kernel.arg(int_of(x.width())).arg(o.eps);
        rows.run(step, x.rows(step));
      });
}

std::unique_ptr<Launch> make_rope(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_rope>();
  const TensorRows x = input.rows(o.x);
  return row_launch(
      input,
      input.row_kernel("rope", {"rotate"}, "rotate",
                       "-DHEAD_DIM=" + std::to_string(x.width())),
      [o, x, y = input.rows(o.y), positions = input.rows(o.positions),
       table = input.rows(o.table), nothing = input.device.nothing()](
          RowKernel& rows, Kernel& kernel, const Step& step) {
        const RotateArgs rotate{positions.offset(step),
                                table.offset(step),
                                int_of(o.style),
                                int_of(o.rotary_dim),
                                int_of(table.max_entries()),
                                int_of(x.width())};
        kernel.arg(x.memory(step, nothing)).arg(x.entry_place(step));
        kernel.arg(y.memory(step, nothing)).arg(y.entry_place(step));
        kernel.arg(positions.memory(step, nothing));
        kernel.arg(table.memory(step, nothing)).arg(rotate).arg(step.fault);
        const auto heads = static_cast<size_t>(x.features()) / x.width();
        rows.run(step, x.entries(step), heads);
      });
}

// As kernels/elementwise.cl numbers them.
cl_int map_kind_of(uint32_t kind, uint32_t variant) {
  if (kind == TSR_OP_ADD) return 0;
  if (kind == TSR_OP_SILU_MUL) return 1;
  return variant == TSR_EPILOGUE_GELU_ERF ? 2 : 3;
}

std::unique_ptr<Launch> make_map(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  const bool one_input = input.op.kind() == TSR_OP_GELU;
  return row_launch(
      input, input.row_kernel("elementwise", {"elementwise"}, "elementwise"),
      [kind = map_kind_of(input.op.kind(), o.variant), a = input.rows(o.a),
       b = one_input ? TensorRows() : input.rows(o.b), y = input.rows(o.y),
       nothing = input.device.nothing()](RowKernel& rows, Kernel& kernel,
                                         const Step& step) {
        kernel.arg(a.memory(step, nothing)).arg(a.row_place(step));
        kernel.arg(b.memory(step, nothing)).arg(b.row_place(step));
        kernel.arg(y.memory(step, nothing)).arg(y.row_place(step));
        kernel.arg(int_of(a.width())).arg(kind);
        rows.run(step, a.rows(step), parts_of(rows, a.width()));
      });
}

std::unique_ptr<Launch> make_softmax(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_softmax>();
  return row_launch(
      input, input.row_kernel("softmax", {}, "rows"),
      [x = input.rows(o.x), y = input.rows(o.y), scale = o.scale,
       nothing = input.device.nothing()](RowKernel& rows, Kernel& kernel,
                                         const Step& step) {
        kernel.arg(x.memory(step, nothing)).arg(x.row_place(step));
        kernel.arg(y.memory(step, nothing)).arg(y.row_place(step));
        kernel.arg(int_of(x.width())).arg(scale);
        rows.run(step, x.rows(step));
      });
}

std::unique_ptr<Launch> make_gather(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_gather>();
  return row_launch(
      input, input.row_kernel("gather", {"elementwise"}, "elementwise"),
      [table = input.rows(o.table), ids = input.rows(o.rows),
       y = input.rows(o.y), nothing = input.device.nothing()](
          RowKernel& rows, Kernel& kernel, const Step& step) {
        kernel.arg(table.memory(step, nothing)).arg(table.entry_place(step));
        kernel.arg(ids.memory(step, nothing)).arg(ids.offset(step));
        kernel.arg(y.memory(step, nothing)).arg(y.entry_place(step));
        kernel.arg(int_of(static_cast<uint64_t>(y.features())));
        kernel.arg(int_of(table.entries(step))).arg(step.fault);
        rows.run(step, y.entries(step),
                 parts_of(rows, static_cast<uint64_t>(y.features())));
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

}  // namespace tessera::opencl
