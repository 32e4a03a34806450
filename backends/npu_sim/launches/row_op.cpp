// SPDX-License-Identifier: Apache-2.0
//
// The small ops: each is one call of function/row_ops.hpp over the rows of a
// step.

#include <string>
#include <utility>

#include "backends/npu_sim/device/device.hpp"
#include "backends/npu_sim/function/row_ops.hpp"
#include "backends/npu_sim/launches/launch.hpp"
#include "backends/npu_sim/launches/problem_of.hpp"

namespace tessera::npu {
namespace {

// A launch from a function that runs one step; `rows` says how many there are.
template <typename Run>
class RowLaunch final : public Launch {
 public:
  RowLaunch(const LaunchInput& input, TensorRows rows, TensorRows result,
            Run run)
      : kind_(input.op.kind()),
        rows_(rows),
        result_(result),
        run_(std::move(run)) {}
  void run(const Step& step) override { run_(step); }
  Problem problem(const Step& step) const override {
    SmallOp problem;
    problem.kind = small_kind_of(kind_);
    problem.rows = result_.entries(step);
    problem.columns = result_.features();
    problem.type = type_of(rows_.dtype());
    problem.out = type_of(result_.dtype());
    if (problem.kind == SmallKind::kRope) problem.head_dim = rows_.width();
    return problem;
  }
  std::string kernel_name() const override { return sdk::names::op(kind_); }

 private:
  uint32_t kind_;
  TensorRows rows_;
  TensorRows result_;
  Run run_;
};

template <typename Run>
std::unique_ptr<Launch> row_launch(const LaunchInput& input, uint32_t x,
                                   uint32_t y, Run run) {
  return std::make_unique<RowLaunch<Run>>(input, input.rows(x), input.rows(y),
                                          std::move(run));
}

std::unique_ptr<Launch> make_norm(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_norm>();
  const bool layer = input.op.kind() == TSR_OP_LAYER_NORM;
  return row_launch(
      input, o.x, o.y,
      [layer, eps = o.eps, x = input.rows(o.x), y = input.rows(o.y),
       weight = input.rows(o.weight),
       bias = layer ? input.rows(o.bias) : TensorRows(),
       parallel = input.device.parallel()](const Step& step) {
        if (!layer) {
          return run(
              RmsNorm{x.rows(step), x.width(), x.const_rows(step),
                      y.mutable_rows(step), weight.const_rows(step), eps},
              parallel);
        }
        ConstRows biases;
        if (bias.exists()) biases = bias.const_rows(step);
        run(LayerNorm{x.rows(step), x.width(), x.const_rows(step),
                      y.mutable_rows(step), weight.const_rows(step), biases,
                      eps},
            parallel);
      });
}

std::unique_ptr<Launch> make_rope(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_rope>();
  return row_launch(
      input, o.x, o.y,
      [o, x = input.rows(o.x), y = input.rows(o.y),
       positions = input.rows(o.positions), table = input.rows(o.table),
       parallel = input.device.parallel()](const Step& step) {
        run(Rope{x.entries(step), x.features() / x.width(), x.width(),
                 x.const_entries(step), y.mutable_entries(step),
                 positions.data<const int32_t>(step),
                 table.data<const float>(step), table.max_entries(),
                 o.rotary_dim, o.style},
            parallel);
      });
}

MapKind map_kind_of(const LaunchInput& input, uint32_t variant) {
  switch (input.op.kind()) {
    case TSR_OP_SILU_MUL:
      return MapKind::kSiluMul;
    case TSR_OP_GELU:
      return variant == TSR_EPILOGUE_GELU_ERF ? MapKind::kGeluErf
                                              : MapKind::kGeluTanh;
    default:
      return MapKind::kAdd;
  }
}

std::unique_ptr<Launch> make_map(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  const bool one_input = input.op.kind() == TSR_OP_GELU;
  return row_launch(
      input, o.a, o.y,
      [kind = map_kind_of(input, o.variant), a = input.rows(o.a),
       b = one_input ? TensorRows() : input.rows(o.b), y = input.rows(o.y),
       parallel = input.device.parallel()](const Step& step) {
        ConstRows second;
        if (b.exists()) second = b.const_rows(step);
        run(Map{kind, a.rows(step), a.width(), a.const_rows(step), second,
                y.mutable_rows(step)},
            parallel);
      });
}

std::unique_ptr<Launch> make_softmax(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_softmax>();
  return row_launch(input, o.x, o.y,
                    [x = input.rows(o.x), y = input.rows(o.y), scale = o.scale,
                     parallel = input.device.parallel()](const Step& step) {
                      run(Softmax{x.rows(step), x.width(), x.const_rows(step),
                                  y.mutable_rows(step), scale},
                          parallel);
                    });
}

std::unique_ptr<Launch> make_gather(const LaunchInput& input) {
  const auto o = input.op.as<tsr_op_gather>();
  return row_launch(
      input, o.table, o.y,
      [table = input.rows(o.table), ids = input.rows(o.rows),
       y = input.rows(o.y),
       parallel = input.device.parallel()](const Step& step) {
        run(Gather{y.entries(step), y.features(), table.entries(step),
                   table.const_entries(step), ids.data<const int32_t>(step),
                   y.mutable_entries(step)},
            parallel);
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

}  // namespace tessera::npu
