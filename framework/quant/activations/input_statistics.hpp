// SPDX-License-Identifier: Apache-2.0
//
// What calibration keeps of a linear's input: figures per column and, for GPTQ
// and its like, the Hessian; streamed, so that no activations are stored.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/algebra/parallel.hpp"

namespace tessera::quant {

// Per column of X[M, K], over all rows so far.
struct ColumnStatistics {
  uint64_t num_rows = 0;
  std::vector<float> abs_max;       // [K]
  std::vector<float> min;           // [K]
  std::vector<float> max;           // [K]
  std::vector<double> sum;          // [K]
  std::vector<double> sum_abs;      // [K]
  std::vector<double> sum_squares;  // [K]; the imatrix of llama.cpp

  // sum_abs / num_rows, what AWQ scales by.
  std::vector<float> mean_abs() const;
};

// H = 2 / n * X^T X, symmetric, whole; K * K * 4 bytes: 822 MB at K = 14336.
struct Hessian {
  uint32_t K = 0;
  std::vector<float> values;  // [K, K]
};

// One linear's input, or that of several which share it.
class InputStatistics {
 public:
  // Errors  INVALID_ARGUMENT if K is 0 or above 2^16
  static Result<InputStatistics> create(uint32_t K, bool with_hessian);

  // Takes X[M, K].  How rows are cut into calls changes no result: the Hessian
  // is summed in f32 over 256 rows at a time.
  //
  // Errors  INVALID_ARGUMENT if the size is no multiple of K, or, naming row
  //         (counted over all calls) and column, for NaN or infinity; then
  //         none of these rows counts
  Status add(std::span<const float> rows, const ParallelFor& run);

  uint32_t K() const { return K_; }  // NOLINT(*-naming): as in the formula
  const ColumnStatistics& columns() const { return columns_; }

  // Leaves this without a Hessian.
  //
  // Errors  FAILED_PRECONDITION without rows, or if none was asked for
  // Source  Frantar et al., arXiv:2210.17323, section 3.1
  Result<Hessian> take_hessian(const ParallelFor& run) &&;

 private:
  InputStatistics(uint32_t K, bool with_hessian);  // NOLINT(*-naming)
  Status check(std::span<const float> rows) const;
  void add_row(std::span<const float> row);
  void flush(const ParallelFor& run);

  uint32_t K_ = 0;  // NOLINT(*-naming)
  bool with_hessian_ = false;
  ColumnStatistics columns_;
  std::vector<float> pending_;   // rows not yet in products_
  std::vector<float> products_;  // lower triangle of the sum of X^T X
};

}  // namespace tessera::quant
