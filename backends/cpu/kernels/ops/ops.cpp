// SPDX-License-Identifier: Apache-2.0
//
// Checks the small ops and shares their rows out to the threads.

#include "backends/cpu/kernels/ops/ops.hpp"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <string>

#include "backends/cpu/kernels/ops/ops_table.hpp"
#include "tessera/error.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, message);
}

void check_size(const std::string& op, int64_t num_rows, int64_t D) {
  if (num_rows < 0 || D < 0 ||
      (D > 0 && num_rows > std::numeric_limits<int64_t>::max() / D)) {
    refuse(op + ": " + std::to_string(num_rows) + " rows of " +
           std::to_string(D) + " elements are no matrix");
  }
}

// A matrix, or a vector, which is one row.
struct Operand {
  Operand(const char* tensor, const ConstRows& rows)
      : name(tensor), dtype(rows.dtype), row_stride(rows.row_stride) {}
  Operand(const char* tensor, const Rows& rows)
      : name(tensor), dtype(rows.dtype), row_stride(rows.row_stride) {}
  Operand(const char* tensor, const ConstVector& v)
      : name(tensor),
        dtype(v.dtype),
        row_stride(std::numeric_limits<int64_t>::max()) {}

  std::string name;
  uint32_t dtype;
  int64_t row_stride;
};

void check(const std::string& op, int64_t num_rows, int64_t D,
           std::initializer_list<Operand> operands) {
  check_size(op, num_rows, D);
  for (const Operand& o : operands) {
    if (o.dtype != TSR_F32 && o.dtype != TSR_F16 && o.dtype != TSR_BF16) {
      refuse(op + ": " + o.name + " has dtype " + std::to_string(o.dtype) +
             ", not f32, f16 or bf16");
    }
    if (o.row_stride < D) {
      refuse(op + ": row_stride=" + std::to_string(o.row_stride) + " of " +
             o.name + " is less than D=" + std::to_string(D));
    }
  }
}

void check_indices(const std::string& what, const int32_t* indices,
                   int64_t count, int64_t limit) {
  for (int64_t i = 0; i < count; ++i) {
    if (indices[i] < 0 || indices[i] >= limit) {
      refuse(what + " " + std::to_string(indices[i]) + " of row " +
             std::to_string(i) + " is not in the table of " +
             std::to_string(limit) + " rows");
    }
  }
}

// A task has about this many elements: some microseconds of work.
constexpr int64_t kElementsPerTask = 16384;

template <typename Op>
void run_rows(const Op& op, int64_t D, const Exec& exec) {
  if (op.num_rows == 0 || D == 0) return;
  struct Work {
    const Op* op;
    const OpKernel<Op>* kernel;
    int64_t rows_per_task;
  };
  constexpr int64_t kMaxTasks = 1 << 30;  // they are counted in 32 bits
  const int64_t rows_per_task =
      std::max({int64_t{1}, kElementsPerTask / D, op.num_rows / kMaxTasks + 1});
  const int64_t num_tasks = (op.num_rows + rows_per_task - 1) / rows_per_task;
  Work work{&op, &select_op_kernel<Op>(exec.isa), rows_per_task};
  if (num_tasks == 1) return work.kernel->run(op, 0, op.num_rows);

  const auto task = [](void* context, uint32_t index) {
    const Work& w = *static_cast<const Work*>(context);
    const int64_t begin = index * w.rows_per_task;
    const int64_t end = std::min(begin + w.rows_per_task, w.op->num_rows);
    w.kernel->run(*w.op, begin, end);
  };
  exec.parallel->run(exec.parallel->context, static_cast<uint32_t>(num_tasks),
                     task, &work);
}

}  // namespace

void run(const RmsNorm& op, const Exec& exec) {
  check("rms_norm", op.num_rows, op.D,
        {{"x", op.x}, {"y", op.y}, {"weight", op.weight}});
  run_rows(op, op.D, exec);
}

void run(const LayerNorm& op, const Exec& exec) {
  check("layer_norm", op.num_rows, op.D,
        {{"x", op.x}, {"y", op.y}, {"weight", op.weight}, {"bias", op.bias}});
  run_rows(op, op.D, exec);
}

void run(const Rope& op, const Exec& exec) {
  if (op.style != TSR_ROPE_HALF && op.style != TSR_ROPE_INTERLEAVED) {
    refuse("rope: unknown style " + std::to_string(op.style));
  }
  if (op.rotary_dim < 0 || op.rotary_dim % 2 != 0 ||
      op.rotary_dim > op.head_dim) {
    refuse(
        "rope: rotary_dim=" + std::to_string(op.rotary_dim) +
        " is not an even number up to head_dim=" + std::to_string(op.head_dim));
  }
  check_size("rope", op.num_heads, op.head_dim);
  const int64_t D = op.num_heads * op.head_dim;
  check("rope", op.num_rows, D, {{"x", op.x}, {"y", op.y}});
  check_indices("rope: position", op.positions, op.num_rows, op.max_positions);
  run_rows(op, D, exec);
}

void run(const Add& op, const Exec& exec) {
  check("add", op.num_rows, op.D, {{"a", op.a}, {"b", op.b}, {"y", op.y}});
  run_rows(op, op.D, exec);
}

void run(const SiluMul& op, const Exec& exec) {
  check("silu_mul", op.num_rows, op.D, {{"a", op.a}, {"b", op.b}, {"y", op.y}});
  run_rows(op, op.D, exec);
}

void run(const Gelu& op, const Exec& exec) {
  if (op.variant != TSR_EPILOGUE_GELU_ERF &&
      op.variant != TSR_EPILOGUE_GELU_TANH) {
    refuse("gelu: unknown variant " + std::to_string(op.variant));
  }
  check("gelu", op.num_rows, op.D, {{"x", op.x}, {"y", op.y}});
  run_rows(op, op.D, exec);
}

void run(const Softmax& op, const Exec& exec) {
  check("softmax", op.num_rows, op.D, {{"x", op.x}, {"y", op.y}});
  run_rows(op, op.D, exec);
}

void run(const Gather& op, const Exec& exec) {
  check("gather", op.num_rows, op.D, {{"table", op.table}, {"y", op.y}});
  check_indices("gather: id", op.ids, op.num_rows, op.V);
  run_rows(op, op.D, exec);
}

}  // namespace tessera::cpu
