// SPDX-License-Identifier: Apache-2.0
//
// The small ops: each is one call of kernels/ops over the rows of a step.

#include <string>
#include <utility>

#include "backends/cpu/compile_op.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"

namespace tessera::cpu {
namespace {

// A CompiledOp from a function that runs one step.
template <typename Run>
class RowOp final : public CompiledOp {
 public:
  RowOp(std::string name, Run run)
      : name_(std::move(name)), run_(std::move(run)) {}
  void run(const RunContext& context) const override { run_(context); }
  std::string kernel_name() const override { return name_; }

 private:
  std::string name_;
  Run run_;
};

template <typename Run>
std::unique_ptr<CompiledOp> row_op(std::string name, Run run) {
  return std::make_unique<RowOp<Run>>(std::move(name), std::move(run));
}

std::unique_ptr<CompiledOp> compile_rms_norm(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_norm>();
  return row_op("rms_norm", [x = input.rows(o.x), y = input.rows(o.y),
                             weight = input.rows(o.weight),
                             eps = o.eps](const RunContext& context) {
    run(RmsNorm{x.rows(context.step), x.width(), x.const_rows(),
                y.mutable_rows(), weight.vector(), eps},
        context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_layer_norm(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_norm>();
  return row_op(
      "layer_norm",
      [x = input.rows(o.x), y = input.rows(o.y), weight = input.rows(o.weight),
       bias = input.rows(o.bias), eps = o.eps](const RunContext& context) {
        run(LayerNorm{x.rows(context.step), x.width(), x.const_rows(),
                      y.mutable_rows(), weight.vector(), bias.vector(), eps},
            context.exec);
      });
}

std::unique_ptr<CompiledOp> compile_rope(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_rope>();
  return row_op("rope", [x = input.rows(o.x), y = input.rows(o.y),
                         positions = input.rows(o.positions),
                         table = input.rows(o.table), rotary_dim = o.rotary_dim,
                         style = o.style](const RunContext& context) {
    Rope op;
    op.num_rows = x.entries(context.step);
    op.head_dim = x.width();
    op.num_heads = x.features() / x.width();
    op.x = {x.data(), x.dtype(), x.entry_stride()};
    op.y = {y.data(), y.dtype(), y.entry_stride()};
    op.positions = positions.as<const int32_t>();
    op.table = table.as<const float>();
    op.max_positions = table.max_entries();
    op.rotary_dim = rotary_dim;
    op.style = style;
    run(op, context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_add(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  return row_op("add", [a = input.rows(o.a), b = input.rows(o.b),
                        y = input.rows(o.y)](const RunContext& context) {
    run(Add{a.rows(context.step), a.width(), a.const_rows(), b.const_rows(),
            y.mutable_rows()},
        context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_silu_mul(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  return row_op("silu_mul", [a = input.rows(o.a), b = input.rows(o.b),
                             y = input.rows(o.y)](const RunContext& context) {
    run(SiluMul{a.rows(context.step), a.width(), a.const_rows(), b.const_rows(),
                y.mutable_rows()},
        context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_gelu(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_elementwise>();
  return row_op("gelu", [a = input.rows(o.a), y = input.rows(o.y),
                         variant = o.variant](const RunContext& context) {
    run(Gelu{a.rows(context.step), a.width(), a.const_rows(), y.mutable_rows(),
             variant},
        context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_softmax(const CompileInput& input) {
  const auto o = input.op.as<tsr_op_softmax>();
  return row_op("softmax", [x = input.rows(o.x), y = input.rows(o.y),
                            scale = o.scale](const RunContext& context) {
    run(Softmax{x.rows(context.step), x.width(), x.const_rows(),
                y.mutable_rows(), scale},
        context.exec);
  });
}

std::unique_ptr<CompiledOp> compile_gather(const CompileInput& input,
                                           const char* name) {
  const auto o = input.op.as<tsr_op_gather>();
  return row_op(name, [table = input.rows(o.table), rows = input.rows(o.rows),
                       y = input.rows(o.y)](const RunContext& context) {
    Gather op;
    op.num_rows = y.entries(context.step);
    op.D = y.features();
    op.V = table.entries(context.step);
    op.table = {table.data(), table.dtype(), table.entry_stride()};
    op.ids = rows.as<const int32_t>();
    op.y = {y.data(), y.dtype(), y.entry_stride()};
    run(op, context.exec);
  });
}

}  // namespace

std::unique_ptr<CompiledOp> compile_row_op(const CompileInput& input) {
  switch (input.op.kind()) {
    case TSR_OP_RMS_NORM:
      return compile_rms_norm(input);
    case TSR_OP_LAYER_NORM:
      return compile_layer_norm(input);
    case TSR_OP_ROPE:
      return compile_rope(input);
    case TSR_OP_ADD:
      return compile_add(input);
    case TSR_OP_SILU_MUL:
      return compile_silu_mul(input);
    case TSR_OP_GELU:
      return compile_gelu(input);
    case TSR_OP_SOFTMAX:
      return compile_softmax(input);
    case TSR_OP_EMBEDDING:
      return compile_gather(input, "embedding");
    case TSR_OP_GATHER_ROWS:
      return compile_gather(input, "gather_rows");
    default:
      throw sdk::Error(TSR_UNIMPLEMENTED, "no kernel for op kind " +
                                              std::to_string(input.op.kind()));
  }
}

}  // namespace tessera::cpu
