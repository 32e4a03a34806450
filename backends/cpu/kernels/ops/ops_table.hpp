// SPDX-License-Identifier: Apache-2.0
//
// Which kernels of the small ops exist: one row per op and ISA.  Dispatch,
// tests and benchmarks all read these rows.

#pragma once

#include <cstdint>
#include <span>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"

namespace tessera::cpu {

template <typename Op>
struct OpKernel {
  const char* name;
  Isa isa;
  void (*run)(const Op& op, int64_t row_begin, int64_t row_end);
};

// All rows for an op, best first; Op is RmsNorm, LayerNorm, ...
template <typename Op>
std::span<const OpKernel<Op>> op_kernels();

// The first row that `best` can run; the scalar one at worst.
template <typename Op>
const OpKernel<Op>& select_op_kernel(Isa best) {
  const auto rows = op_kernels<Op>();
  for (const OpKernel<Op>& row : rows) {
    if (row.isa <= best) return row;
  }
  return rows.back();
}

// The kernels of one ISA, as the file built for it hands them out.
struct RowKernelSet {
  void (*rms_norm)(const RmsNorm&, int64_t, int64_t);
  void (*layer_norm)(const LayerNorm&, int64_t, int64_t);
  void (*rope)(const Rope&, int64_t, int64_t);
  void (*add)(const Add&, int64_t, int64_t);
  void (*silu_mul)(const SiluMul&, int64_t, int64_t);
  void (*gelu)(const Gelu&, int64_t, int64_t);
  void (*softmax)(const Softmax&, int64_t, int64_t);
  void (*gather)(const Gather&, int64_t, int64_t);
};
RowKernelSet row_kernels_scalar();
RowKernelSet row_kernels_avx2();
RowKernelSet row_kernels_avx512();

}  // namespace tessera::cpu
