// SPDX-License-Identifier: Apache-2.0
//
// Blocked Cholesky and triangular inversion over add_product.

#include "framework/quant/algebra/triangular.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "framework/quant/algebra/dense_product.hpp"

namespace tessera::quant {
namespace {

// Columns of a panel.  Small enough that the scalar work on the diagonal, K *
// kPanel^2 in all, is little beside K^3 / 3.
constexpr uint32_t kPanel = 128;

// Rows of one task below a panel.
constexpr uint32_t kTaskRows = 256;

// A row-major square matrix, block by block.
struct Square {
  uint32_t K;
  float* data;

  float* at(uint32_t row, uint32_t col) const {
    return data + uint64_t{row} * K + col;
  }
};

// A small lower triangle in f64, [size, size].
using SmallTriangle = std::vector<double>;

// A pivot that has lost this much of its diagonal element is rounding noise.
constexpr double kSmallestPivot = 0x1p-22;

// L of the block of `size` on the diagonal at `begin`; empty, with the column
// in *out_column, if a pivot is not positive.  `diagonal` is that of A before
// the first panel.
SmallTriangle factor_diagonal(const Square& a, uint32_t begin, uint32_t size,
                              std::span<const float> diagonal,
                              uint32_t* out_column) {
  SmallTriangle l(size_t{size} * size, 0.0);
  for (uint32_t j = 0; j < size; ++j) {
    for (uint32_t i = j; i < size; ++i) {
      double sum = *a.at(begin + i, begin + j);
      for (uint32_t k = 0; k < j; ++k) sum -= l[i * size + k] * l[j * size + k];
      if (i > j) {
        l[i * size + j] = sum / l[j * size + j];
        continue;
      }
      if (!(sum > kSmallestPivot * diagonal[begin + j])) {
        *out_column = begin + j;
        return {};
      }
      l[j * size + j] = std::sqrt(sum);
    }
  }
  return l;
}

// Inverse of a lower triangle, by forward substitution column by column.
SmallTriangle invert_small(const SmallTriangle& l, uint32_t size) {
  SmallTriangle inverse(l.size(), 0.0);
  for (uint32_t j = 0; j < size; ++j) {
    inverse[j * size + j] = 1.0 / l[j * size + j];
    for (uint32_t i = j + 1; i < size; ++i) {
      double sum = 0.0;
      for (uint32_t k = j; k < i; ++k) {
        sum += l[i * size + k] * inverse[k * size + j];
      }
      inverse[i * size + j] = -sum / l[i * size + i];
    }
  }
  return inverse;
}

void store_small(const SmallTriangle& l, uint32_t size, const Square& a,
                 uint32_t begin) {
  for (uint32_t i = 0; i < size; ++i) {
    for (uint32_t j = 0; j <= i; ++j) {
      *a.at(begin + i, begin + j) = static_cast<float>(l[i * size + j]);
    }
  }
}

std::vector<float> to_floats(const SmallTriangle& l) {
  return {l.begin(), l.end()};
}

// rows := rows * B, B [cols, cols], through a copy of the rows.
void multiply_rows(const Square& a, uint32_t first, uint32_t num_rows,
                   uint32_t col, const MatrixRef& b, uint32_t cols) {
  std::vector<float> copy(size_t{num_rows} * cols);
  for (uint32_t i = 0; i < num_rows; ++i) {
    float* row = a.at(first + i, col);
    std::copy_n(row, cols, copy.begin() + ptrdiff_t{i} * cols);
    std::fill_n(row, cols, 0.0f);
  }
  add_product({num_rows, cols, cols, 1.0f, MatrixRef{copy.data(), cols}, b,
               a.at(first, col), a.K});
}

// Subtracts panel * panel^T from what lies to its right, rows first .. first +
// num_rows - 1, up to the diagonal and not past it.
void update_trailing(const Square& a, uint32_t begin, uint32_t size,
                     uint32_t first, uint32_t num_rows) {
  const uint32_t right = begin + size;
  const MatrixRef rows{a.at(first, begin), a.K};
  add_product({num_rows, first - right, size, -1.0f, rows,
               MatrixRef{a.at(right, begin), a.K, true}, a.at(first, right),
               a.K});
  std::vector<float> corner(size_t{num_rows} * num_rows, 0.0f);
  add_product({num_rows, num_rows, size, -1.0f, rows,
               MatrixRef{a.at(first, begin), a.K, true}, corner.data(),
               num_rows});
  for (uint32_t i = 0; i < num_rows; ++i) {
    for (uint32_t j = 0; j <= i; ++j) {
      *a.at(first + i, first + j) += corner[i * num_rows + j];
    }
  }
}

}  // namespace

Status factor_lower(uint32_t K, std::span<float> a, const ParallelFor& run) {
  const Square square{K, a.data()};
  std::vector<float> diagonal(K);
  for (uint32_t k = 0; k < K; ++k) diagonal[k] = *square.at(k, k);
  for (uint32_t begin = 0; begin < K; begin += kPanel) {
    const uint32_t size = std::min(kPanel, K - begin);
    uint32_t column = 0;
    const SmallTriangle l =
        factor_diagonal(square, begin, size, diagonal, &column);
    if (l.empty()) {
      return Status(TSR_FAILED_PRECONDITION,
                    "not positive definite at column " +
                        std::to_string(column) + " of " + std::to_string(K));
    }
    store_small(l, size, square, begin);
    const std::vector<float> inverse = to_floats(invert_small(l, size));

    const uint32_t below = begin + size;
    const uint32_t tasks = num_pieces(K - below, kTaskRows);
    const auto rows_of = [&](uint32_t task) {
      return std::min(kTaskRows, K - below - task * kTaskRows);
    };
    run(tasks, [&](uint32_t task) {
      multiply_rows(square, below + task * kTaskRows, rows_of(task), begin,
                    MatrixRef{inverse.data(), size, true}, size);
    });
    run(tasks, [&](uint32_t task) {
      update_trailing(square, begin, size, below + task * kTaskRows,
                      rows_of(task));
    });
  }
  return {};
}

void invert_lower(uint32_t K, std::span<float> a, const ParallelFor& run) {
  const Square square{K, a.data()};
  // From the last panel up: what is below and to the right is inverse already.
  for (uint32_t panel = num_pieces(K, kPanel); panel-- > 0;) {
    const uint32_t begin = panel * kPanel;
    const uint32_t size = std::min(kPanel, K - begin);
    SmallTriangle l(size_t{size} * size, 0.0);
    for (uint32_t i = 0; i < size; ++i) {
      for (uint32_t j = 0; j <= i; ++j) {
        l[i * size + j] = *square.at(begin + i, begin + j);
      }
    }
    const SmallTriangle inverse = invert_small(l, size);
    const std::vector<float> factor = to_floats(inverse);

    // X[below] = -inverse[below, below] * (L[below] * inverse of the diagonal).
    const uint32_t below = begin + size;
    const uint32_t num_below = K - below;
    std::vector<float> product(size_t{num_below} * size, 0.0f);
    const uint32_t tasks = num_pieces(num_below, kTaskRows);
    const auto rows_of = [&](uint32_t task) {
      return std::min(kTaskRows, num_below - task * kTaskRows);
    };
    run(tasks, [&](uint32_t task) {
      const uint32_t first = task * kTaskRows;
      add_product({rows_of(task), size, size, 1.0f,
                   MatrixRef{square.at(below + first, begin), K},
                   MatrixRef{factor.data(), size},
                   product.data() + size_t{first} * size, size});
    });
    run(tasks, [&](uint32_t task) {
      const uint32_t first = task * kTaskRows;
      for (uint32_t i = 0; i < rows_of(task); ++i) {
        std::fill_n(square.at(below + first + i, begin), size, 0.0f);
      }
      add_product({rows_of(task), size, first + rows_of(task), -1.0f,
                   MatrixRef{square.at(below + first, below), K},
                   MatrixRef{product.data(), size},
                   square.at(below + first, begin), K});
    });
    store_small(inverse, size, square, begin);
    for (uint32_t i = 0; i < size; ++i) {
      std::fill_n(square.at(begin + i, begin + i) + 1, K - begin - i - 1, 0.0f);
    }
  }
}

Status inverse_upper_factor(uint32_t K, std::span<float> a,
                            const ParallelFor& run) {
  std::vector<float> diagonal(K);
  for (uint32_t k = 0; k < K; ++k) diagonal[k] = a[size_t{k} * K + k];
  // Reversing the array reverses rows and columns at once.
  std::reverse(a.begin(), a.end());
  Status factored = factor_lower(K, a, run);
  if (factored.ok()) invert_lower(K, a, run);
  std::reverse(a.begin(), a.end());
  if (factored.ok()) return {};
  // What is now the lower triangle is whole.
  for (size_t i = 0; i < K; ++i) {
    for (size_t j = 0; j < i; ++j) a[j * K + i] = a[i * K + j];
    a[i * K + i] = diagonal[i];
  }
  return factored;
}

}  // namespace tessera::quant
