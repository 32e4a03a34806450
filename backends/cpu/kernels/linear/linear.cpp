// SPDX-License-Identifier: Apache-2.0
//
// The driver: checks an op, prepares x, and shares out chunks of outputs.

#include "backends/cpu/kernels/linear/linear.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/kernels/linear/chunks.hpp"
#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/linear_check.hpp"
#include "backends/cpu/kernels/linear/linear_dense.hpp"
#include "backends/cpu/kernels/linear/linear_input.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/linear_workspace.hpp"
#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// Below so many products, waking threads costs more than they save.
constexpr int64_t kSerialProducts = 1 << 17;
// Rows of x that one task prepares.
constexpr int64_t kPreparedRows = 8;

LinearQuestion question_of(const LinearWeight& weight, const Linear& op) {
  return {&weight.shape, weight.has_dense_rows(), is_integer_act(op.act_quant),
          op.act_quant == TSR_ACT_FLOAT && op.x.dtype == TSR_BF16 &&
              weight.input_multiplier.empty(),
          op.M};
}

const LinearKernel& choose_kernel(std::span<const LinearKernel> table,
                                  const LinearWeight& weight, const Linear& op,
                                  Isa best) {
  LinearQuestion question = question_of(weight, op);
  const LinearKernel* kernel = find_linear_kernel(table, question, best);
  if (kernel != nullptr) return *kernel;
  const WeightShape expanded = expanded_shape(weight.shape);
  question.shape = &expanded;
  return *find_linear_kernel(table, question, best);
}

bool wants_expansion(const LinearKernel& kernel, const LinearWeight& weight) {
  return weight.shape.layout == Layout::kSparseTiles &&
         kernel.weight != WeightKind::kSparseTiles;
}

// Whether chunks of the weight are expanded slice by slice of K.
bool wants_slices(const LinearKernel& kernel, const LinearWeight& weight) {
  return wants_expansion(kernel, weight) && is_per_channel(weight.shape) &&
         kernel.run_integer != nullptr;
}

// What chunks of the weight go through before `kernel` reads them, or null.
ExpandRows expander_of(const LinearKernel& kernel, const LinearWeight& weight,
                       Isa best) {
  if (wants_slices(kernel, weight)) return nullptr;
  if (wants_expansion(kernel, weight)) return sparse_expander(best);
  return kernel.expand;
}

// One call, with everything that its chunks share.
class LinearRun {
 public:
  LinearRun(const LinearKernel& kernel, const LinearWeight& weight,
            const Linear& op, const Workspace& workspace, const Exec& exec)
      : weight_(weight),
        op_(op),
        workspace_(workspace),
        input_(workspace.input),
        row_ops_(linear_row_ops(exec.isa)),
        is_integer_(is_integer_act(op.act_quant)),
        isa_(exec.isa),
        in_slices_(wants_slices(kernel, weight)),
        expand_(expander_of(kernel, weight, exec.isa)),
        kernel_(kernel),
        first_column_(op.n_begin / kTileCols * kTileCols) {
    input_.kind = kernel_.input;
    const int64_t products = op.M * (op.n_end - op.n_begin) * weight.shape.K;
    if (exec.parallel != nullptr && products >= kSerialProducts) {
      parallel_ = *exec.parallel;
    }
  }

  void run() {
    prepare_input();
    const int64_t column_chunks =
        (op_.n_end - first_column_ + kChunkCols - 1) / kChunkCols;
    const int64_t row_chunks = (op_.M + kChunkRows - 1) / kChunkRows;
    for_each_chunk(
        parallel_, column_chunks * row_chunks,
        [&](int64_t chunk, int64_t worker) {
          const int64_t m = chunk % row_chunks * kChunkRows;
          const int64_t n = first_column_ + chunk / row_chunks * kChunkCols;
          expand_and_compute({m, n, &weight_, n}, workspace_.worker(worker));
        });
  }

 private:
  struct Corner {
    int64_t m;
    int64_t n;  // a multiple of kTileCols
    // What kernels read, and its row for column n.
    const LinearWeight* source;
    int64_t source_n;
  };

  void prepare_input() {
    const int64_t chunks = (op_.M + kPreparedRows - 1) / kPreparedRows;
    for_each_chunk(parallel_, chunks, [&](int64_t chunk, int64_t worker) {
      const int64_t begin = chunk * kPreparedRows;
      const int64_t end = std::min(begin + kPreparedRows, op_.M);
      for (int64_t m = begin; m < end; ++m) {
        prepare_row(weight_, op_, m, row_ops_, workspace_.worker(worker).rows,
                    input_);
      }
    });
  }

  void expand_and_compute(Corner corner, const WorkerScratch& scratch) const {
    if (expand_ == nullptr) return compute(corner, scratch);
    const int64_t num_cols = std::min(kChunkCols, op_.n_end - corner.n);
    const LinearWeight rows =
        expand_(weight_, corner.n, num_cols, scratch.expansion());
    corner.source = &rows;
    corner.source_n = 0;
    compute(corner, scratch);
  }

  void compute(const Corner& corner, const WorkerScratch& scratch) const {
    const int64_t M = std::min(kChunkRows, op_.M - corner.m);
    const int64_t num_cols = std::min(kChunkCols, op_.n_end - corner.n);
    if (!is_integer_) {
      const int64_t stride = padded_input(weight_.shape.K);
      const int64_t sums_stride = group_sums_stride(weight_.shape.K);
      kernel_.run_float({corner.source, M, input_.values + corner.m * stride,
                         input_.pairs + corner.m * stride, stride,
                         input_.group_sums + corner.m * sums_stride,
                         sums_stride, corner.source_n, num_cols, scratch.sums,
                         scratch.panel});
      finish_float(corner, M, num_cols, scratch);
    } else if (op_.y.dtype == TSR_I32) {
      sum_group(corner, M, num_cols, 0, scratch);
      store_accumulators(corner, M, num_cols, scratch);
    } else if (is_per_channel(weight_.shape)) {
      sum_group(corner, M, num_cols, 0, scratch);
      finish_channel(corner, M, num_cols, scratch);
    } else {
      finish_groups(corner, M, num_cols, scratch);
    }
  }

  void sum_group(const Corner& corner, int64_t M, int64_t num_cols,
                 int64_t group, const WorkerScratch& scratch) const {
    if (in_slices_) return sum_slices(corner, M, num_cols, scratch);
    const int64_t stride = padded_input(weight_.shape.K);
    kernel_.run_integer({corner.source, M,
                         workspace_.input.codes + corner.m * stride, stride,
                         workspace_.input.zeros + corner.m, corner.source_n,
                         num_cols, group, scratch.integer_sums()});
  }

  void sum_slices(const Corner& corner, int64_t M, int64_t num_cols,
                  const WorkerScratch& scratch) const {
    const int64_t stride = padded_input(weight_.shape.K);
    SparseSlices slices(weight_, corner.n, num_cols, isa_, scratch.codes);
    int64_t begin = 0;
    while (const LinearWeight* slice = slices.next(&begin)) {
      kernel_.run_integer({slice, M, input_.codes + corner.m * stride + begin,
                           stride, input_.zeros + corner.m, 0, num_cols, 0,
                           scratch.integer_sums(), begin > 0});
    }
  }

  // ---- Sums to y.  `skip` columns of the first tile lie before n_begin.

  Finish finish_of(const Corner& corner, int64_t M, int64_t num_cols,
                   const void* sums) const {
    const int64_t skip = std::max<int64_t>(0, op_.n_begin - corner.n);
    Finish work{};
    work.M = M;
    work.num_cols = num_cols - skip;
    work.sums = static_cast<const float*>(sums) + skip;
    const int64_t n = corner.n + skip;
    apply_epilogue(op_, corner.m, n, work);
    return work;
  }

  void finish_float(const Corner& corner, int64_t M, int64_t num_cols,
                    const WorkerScratch& scratch) const {
    Finish work = finish_of(corner, M, num_cols, scratch.sums);
    if (weight_.scale2 != nullptr) {
      set_col_scale(corner, num_cols, scratch, work,
                    [&](int64_t n) { return weight_.scale2[n]; });
    }
    row_ops_.finish(work);
  }

  void finish_channel(const Corner& corner, int64_t M, int64_t num_cols,
                      const WorkerScratch& scratch) const {
    Finish work = finish_of(corner, M, num_cols, scratch.sums);
    work.sums_are_i32 = weight_.quant_bias.empty();
    if (!work.sums_are_i32) add_quant_bias(corner, M, num_cols, scratch);
    work.row_scale = workspace_.input.scales + corner.m;
    set_col_scale(corner, num_cols, scratch, work,
                  [&](int64_t n) { return weight_scale(weight_, n, 0); });
    row_ops_.finish(work);
  }

  void sum_groups(const Corner& corner, int64_t M, int64_t num_cols,
                  const WorkerScratch& scratch) const {
    if (kernel_.run_groups != nullptr && weight_.quant_bias.empty()) {
      const int64_t stride = padded_input(weight_.shape.K);
      return kernel_.run_groups(
          {corner.source, M, input_.codes + corner.m * stride, stride,
           input_.zeros + corner.m, corner.source_n, num_cols, scratch.groups});
    }
    std::fill(scratch.groups, scratch.groups + M * kChunkCols, 0.0f);
    for (int64_t g = 0; g < weight_.shape.num_groups; ++g) {
      sum_group(corner, M, num_cols, g, scratch);
      for (int64_t j = 0; j < num_cols; ++j) {
        scratch.col_scale[j] =
            weight_scale(weight_, corner.n + j, g * weight_.shape.group_size);
      }
      if (g == 0 && !weight_.quant_bias.empty()) {
        add_quant_bias(corner, M, num_cols, scratch);
        start_groups(M, num_cols, scratch);
      } else {
        row_ops_.add_group(scratch.integer_sums(), scratch.col_scale, M,
                           num_cols, scratch.groups);
      }
    }
  }

  void finish_groups(const Corner& corner, int64_t M, int64_t num_cols,
                     const WorkerScratch& scratch) const {
    sum_groups(corner, M, num_cols, scratch);
    Finish work = finish_of(corner, M, num_cols, scratch.groups);
    work.row_scale = workspace_.input.scales + corner.m;
    if (weight_.shape.has_scale2) {
      set_col_scale(corner, num_cols, scratch, work,
                    [&](int64_t n) { return weight_scale2(weight_, n); });
    }
    row_ops_.finish(work);
  }

  template <typename ScaleOf>
  void set_col_scale(const Corner& corner, int64_t num_cols,
                     const WorkerScratch& scratch, Finish& work,
                     const ScaleOf& scale_of) const {
    const int64_t skip = std::max<int64_t>(0, op_.n_begin - corner.n);
    for (int64_t j = skip; j < num_cols; ++j) {
      scratch.col_scale[j] = scale_of(corner.n + j);
    }
    work.col_scale = scratch.col_scale + skip;
  }

  // The sums become f32(acc + QUANT_BIAS), rounded once.
  void add_quant_bias(const Corner& corner, int64_t M, int64_t num_cols,
                      const WorkerScratch& scratch) const {
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < num_cols; ++j) {
        float& place = scratch.sums[m * kChunkCols + j];
        int32_t acc = 0;
        std::memcpy(&acc, &place, sizeof(acc));
        const auto n = static_cast<size_t>(corner.n + j);
        place = static_cast<float>(int64_t{acc} + weight_.quant_bias[n]);
      }
    }
  }

  // The first group, whose sums are already f32.
  static void start_groups(int64_t M, int64_t num_cols,
                           const WorkerScratch& scratch) {
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < num_cols; ++j) {
        const int64_t i = m * kChunkCols + j;
        scratch.groups[i] =
            std::fma(scratch.sums[i], scratch.col_scale[j], 0.0f);
      }
    }
  }

  void store_accumulators(const Corner& corner, int64_t M, int64_t num_cols,
                          const WorkerScratch& scratch) const {
    const int64_t skip = std::max<int64_t>(0, op_.n_begin - corner.n);
    auto* y = static_cast<int32_t*>(op_.y.data);
    for (int64_t m = 0; m < M; ++m) {
      int32_t* row = y + (corner.m + m) * op_.y.row_stride;
      for (int64_t j = skip; j < num_cols; ++j) {
        int32_t& place = row[corner.n + j - op_.n_begin];
        const auto old =
            op_.accumulate ? static_cast<uint32_t>(place) : uint32_t{0};
        place = static_cast<int32_t>(
            old +
            static_cast<uint32_t>(scratch.integer_sums()[m * kChunkCols + j]));
      }
    }
  }

  const LinearWeight& weight_;
  const Linear& op_;
  const Workspace& workspace_;
  PreparedInput input_;
  const LinearRowOps& row_ops_;
  bool is_integer_;
  Isa isa_;
  bool in_slices_;
  ExpandRows expand_;
  const LinearKernel& kernel_;
  int64_t first_column_;
  Parallel parallel_;
};

}  // namespace

namespace {

// `op` with its last row filled in.
Linear checked(const LinearWeight& weight, const Linear& op) {
  Linear whole = op;
  if (whole.n_end == 0) whole.n_end = weight.shape.N;
  check_linear(weight, whole);
  return whole;
}

Workspace parts_of(LinearWorkspace workspace, const LinearWeight& weight,
                   const Linear& op, const Exec& exec) {
  const uint32_t num_threads =
      exec.parallel == nullptr ? 1 : exec.parallel->num_threads;
  return carve_workspace(workspace, {op.M, weight.shape.K, num_threads});
}

}  // namespace

void linear(const LinearWeight& weight, const Linear& op,
            LinearWorkspace workspace, const Exec& exec) {
  const Linear whole = checked(weight, op);
  if (whole.M == 0) return;
  const Workspace parts = parts_of(workspace, weight, whole, exec);
  if (run_dense(weight, whole, parts, exec)) return;
  linear_of_table(linear_kernels(), weight, whole, workspace, exec);
}

void linear_of_table(std::span<const LinearKernel> table,
                     const LinearWeight& weight, const Linear& op,
                     LinearWorkspace workspace, const Exec& exec) {
  const Linear whole = checked(weight, op);
  if (whole.M == 0) return;
  const Workspace parts = parts_of(workspace, weight, whole, exec);
  LinearRun(choose_kernel(table, weight, whole, exec.isa), weight, whole, parts,
            exec)
      .run();
}

const char* linear_kernel_name(const LinearWeight& weight, const Linear& op,
                               const Exec& exec) {
  if (wants_dense(weight.shape, op, exec)) {
    return dense_kernel_name(weight.shape);
  }
  return choose_kernel(linear_kernels(), weight, op, exec.isa).name.c_str();
}

}  // namespace tessera::cpu
