// SPDX-License-Identifier: Apache-2.0
//
// x is copied to dense rows and padded to a multiple of 16 of them, so that few
// shapes occur and weights are the only thing read in place.

#include "backends/cpu/kernels/linear/linear_dense.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "backends/cpu/kernels/linear/chunks.hpp"
#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/linear_check.hpp"
#include "backends/cpu/kernels/linear/onednn_matmul.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// Rows or columns of one product, and what is left of them for the last.
struct Split {
  int64_t size;
  int64_t chunk;

  int64_t count() const { return (size + chunk - 1) / chunk; }
  int64_t begin(int64_t i) const { return i * chunk; }
  int64_t length(int64_t i) const { return std::min(chunk, size - begin(i)); }
  bool is_last(int64_t i) const { return i + 1 == count(); }
};

class DenseRun {
 public:
  DenseRun(const LinearWeight& weight, const Linear& op,
           const Workspace& workspace, const Exec& exec)
      : weight_(weight),
        op_(op),
        workspace_(workspace),
        row_ops_(linear_row_ops(exec.isa)),
        is_integer_(is_integer_act(op.act_quant)),
        dtype_(is_integer_ ? uint32_t{TSR_I8} : op.x.dtype),
        rows_{round_up_rows(op.M), kDenseRows},
        columns_{op.n_end - op.n_begin, kDenseCols} {
    if (exec.parallel != nullptr) parallel_ = *exec.parallel;
  }

  // False if a product that is needed does not exist.
  bool find_products() {
    for (const bool last_rows : {false, true}) {
      for (const bool last_columns : {false, true}) {
        DenseShape shape;
        shape.dtype = dtype_;
        shape.M = rows_.length(last_rows ? rows_.count() - 1 : 0);
        shape.N = columns_.length(last_columns ? columns_.count() - 1 : 0);
        shape.K = depth();
        shape.src_stride = padded_input(weight_.shape.K);
        shape.weights_stride =
            is_tiled() ? 0
                       : static_cast<int64_t>(weight_.raw_codes.row_bytes) /
                             element_bytes();
        shape.dst_stride = kDenseCols;
        auto& product = products_[last_rows ? 1 : 0][last_columns ? 1 : 0];
        product = find_dense_matmul(shape);
        if (product == nullptr) return false;
      }
    }
    return true;
  }

  void run() {
    for_each_chunk(parallel_, rows_.size, [&](int64_t m, int64_t worker) {
      copy_row(m, workspace_.worker(worker));
    });
    std::atomic<bool> failed = false;
    for_each_chunk(parallel_, rows_.count() * columns_.count(),
                   [&](int64_t chunk, int64_t worker) {
                     const int64_t i = chunk % rows_.count();
                     const int64_t j = chunk / rows_.count();
                     if (!multiply(i, j, workspace_.worker(worker))) {
                       failed = true;
                     }
                   });
    if (failed) throw sdk::Error(TSR_INTERNAL, "linear: oneDNN matmul failed");
  }

 private:
  int64_t element_bytes() const {
    if (is_integer_) return 1;
    return dtype_ == TSR_F32 ? 4 : 2;
  }
  bool is_tiled() const { return weight_.shape.layout != Layout::kRaw; }
  // Tiles of bf16 hold whole pairs of 16; x is zero there.
  int64_t depth() const {
    return dtype_ == TSR_BF16 ? weight_.shape.padded_K : weight_.shape.K;
  }

  std::byte* row(int64_t m) const {
    return reinterpret_cast<std::byte*>(workspace_.input.values) +
           m * padded_input(weight_.shape.K) * element_bytes();
  }

  void copy_row(int64_t m, const WorkerScratch& scratch) const {
    if (m >= op_.M) {
      std::memset(row(m), 0, static_cast<size_t>(depth() * element_bytes()));
    } else if (is_integer_ || dtype_ == TSR_F32) {
      prepare_row(weight_, op_, m, row_ops_, scratch.rows, workspace_.input);
    } else {
      copy_half_row(m);
    }
  }

  // x has the weight's type.
  void copy_half_row(int64_t m) const {
    const auto* x =
        static_cast<const uint16_t*>(op_.x.data) + m * op_.x.row_stride;
    auto* out = reinterpret_cast<uint16_t*>(row(m));
    const int64_t K = weight_.shape.K;
    if (weight_.permutation.empty()) {
      std::copy_n(x, K, out);
    } else {
      for (int64_t k = 0; k < K; ++k) {
        out[k] = x[weight_.permutation[static_cast<size_t>(k)]];
      }
    }
    std::fill(out + K, out + depth(), uint16_t{0});
  }

  bool multiply(int64_t i, int64_t j, const WorkerScratch& scratch) const {
    const int64_t m = rows_.begin(i);
    const int64_t n = op_.n_begin + columns_.begin(j);
    const DenseMatmul& product =
        *products_[rows_.is_last(i) ? 1 : 0][columns_.is_last(j) ? 1 : 0];
    if (!product.run(row(m), weights_at(n), scratch.dense_sums)) return false;

    Finish work{};
    work.M = std::min(rows_.length(i), op_.M - m);
    work.num_cols = columns_.length(j);
    work.sums = scratch.dense_sums;
    work.sums_stride = kDenseCols;
    if (is_integer_) {
      finish_integers(m, n, work, scratch);
    } else {
      apply_epilogue(op_, m, n, work);
      row_ops_.finish(work);
    }
    return true;
  }

  const std::byte* weights_at(int64_t n) const {
    if (is_tiled()) {
      return weight_.codes + n / kTileCols * weight_.shape.tile_bytes;
    }
    return static_cast<const std::byte*>(weight_.raw_codes.data) +
           static_cast<uint64_t>(n) * weight_.raw_codes.row_bytes;
  }

  // Takes the zero points of x out of the sums, a row scratch at a time, and
  // scales.
  void finish_integers(int64_t m, int64_t n, const Finish& product,
                       const WorkerScratch& scratch) const {
    auto* sums = reinterpret_cast<int32_t*>(scratch.dense_sums);
    for (int64_t j = 0; j < product.num_cols; j += kChunkCols) {
      Finish work = product;
      work.num_cols = std::min(kChunkCols, product.num_cols - j);
      work.sums = sums + j;
      work.sums_are_i32 = true;
      work.row_scale = workspace_.input.scales + m;
      work.col_scale = scratch.col_scale;
      for (int64_t c = 0; c < work.num_cols; ++c) {
        scratch.col_scale[c] = weight_scale(weight_, n + j + c, 0);
      }
      for (int64_t r = 0; r < work.M; ++r) {
        subtract_zeros(n + j, work.num_cols, workspace_.input.zeros[m + r],
                       sums + r * kDenseCols + j);
      }
      apply_epilogue(op_, m, n + j, work);
      row_ops_.finish(work);
    }
  }

  // Modulo 2^32, as the sums are.
  void subtract_zeros(int64_t n, int64_t num_cols, int32_t zero,
                      int32_t* sums) const {
    for (int64_t c = 0; c < num_cols; ++c) {
      sums[c] =
          static_cast<int32_t>(static_cast<uint32_t>(sums[c]) -
                               static_cast<uint32_t>(zero) *
                                   static_cast<uint32_t>(weight_.sums[n + c]));
    }
  }

  const LinearWeight& weight_;
  const Linear& op_;
  const Workspace& workspace_;
  const LinearRowOps& row_ops_;
  bool is_integer_;
  uint32_t dtype_;
  Split rows_;
  Split columns_;
  Parallel parallel_;
  std::shared_ptr<const DenseMatmul> products_[2][2];
};

// The type of a weight of plain floats; NONE for others.
uint32_t dense_dtype(const WeightShape& shape) {
  switch (shape.format) {
    case TSR_WEIGHT_F32:
      return TSR_F32;
    case TSR_WEIGHT_F16:
      return TSR_F16;
    case TSR_WEIGHT_BF16:
      return TSR_BF16;
    default:
      return TSR_DTYPE_NONE;
  }
}

}  // namespace

bool wants_dense(const WeightShape& shape, const Linear& op, const Exec& exec) {
  // A lower ISA than the machine's is asked for to get just that.
  if (exec.isa != best_isa() || op.M < kMinDenseRows) return false;
  if (exec.use_onednn == UseOneDnn::kNever) return false;
  const bool always = exec.use_onednn == UseOneDnn::kAlways;
  if (is_integer_act(op.act_quant)) {
    // Our own kernels are faster with VNNI, and by AMX read weights as packed;
    // without either oneDNN's sums of u8 * s8 saturate.
    return always && exec.isa >= Isa::kAvx512Vnni &&
           shape.layout == Layout::kI8Tiles && !shape.has_zeros &&
           !shape.has_scale2 && is_per_channel(shape) &&
           op.y.dtype != TSR_I32 && op.n_begin % kTileCols == 0 &&
           has_dense_matmul(TSR_I8);
  }
  // x must not be rounded to the weight's type.
  const uint32_t dtype = dense_dtype(shape);
  if (op.act_quant != TSR_ACT_FLOAT || dtype == TSR_DTYPE_NONE ||
      op.x.dtype != dtype) {
    return false;
  }
  if (dtype == TSR_BF16 && op.n_begin % kTileCols != 0) return false;
  // Of f32 our own kernels make more, and of bf16 where they have instructions
  // for it; f16 only oneDNN multiplies as such.
  const bool is_better =
      dtype == TSR_F16 || (dtype == TSR_BF16 && exec.isa < Isa::kAvx512Bf16);
  return (always || is_better) && has_dense_matmul(dtype);
}

const char* dense_kernel_name(const WeightShape& shape) {
  switch (dense_dtype(shape)) {
    case TSR_F32:
      return "linear_f32_f32__onednn";
    case TSR_F16:
      return "linear_f16_f16__onednn";
    case TSR_BF16:
      return "linear_bf16_bf16__onednn";
    default:
      return "linear_i8_i8__onednn";
  }
}

bool run_dense(const LinearWeight& weight, const Linear& op,
               const Workspace& workspace, const Exec& exec) {
  if (!wants_dense(weight.shape, op, exec)) return false;
  const bool ready = is_integer_act(op.act_quant)
                         ? weight.quant_bias.empty()
                         : weight.input_multiplier.empty() &&
                               (weight.has_dense_rows() ||
                                weight.shape.format == TSR_WEIGHT_BF16);
  if (!ready) return false;
  DenseRun run(weight, op, workspace, exec);
  if (!run.find_products()) return false;
  run.run();
  return true;
}

}  // namespace tessera::cpu
