// SPDX-License-Identifier: Apache-2.0
//
// The body of the product, compiled once per ISA.  Each including file renames
// Eigen first, and what is here has no linkage: the linker would else merge
// inline functions across ISAs and run AVX2 code on machines without it.

#pragma once

#include <Eigen/Core>

#include "framework/quant/algebra/dense_product.hpp"

namespace tessera::quant {
namespace {

using RowMajor =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

auto map_matrix(const MatrixRef& m, uint64_t rows, uint64_t cols) {
  return Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>(
      m.data, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols),
      Eigen::OuterStride<>(static_cast<Eigen::Index>(m.stride)));
}

void add_product_with_eigen(const DenseProduct& p) {
  if (p.M == 0 || p.N == 0 || p.K == 0) return;
  Eigen::Map<RowMajor, 0, Eigen::OuterStride<>> c(
      p.c, static_cast<Eigen::Index>(p.M), static_cast<Eigen::Index>(p.N),
      Eigen::OuterStride<>(static_cast<Eigen::Index>(p.c_stride)));
  if (p.a.transposed && p.b.transposed) {
    c.noalias() += p.alpha * map_matrix(p.a, p.K, p.M).transpose() *
                   map_matrix(p.b, p.N, p.K).transpose();
  } else if (p.a.transposed) {
    c.noalias() += p.alpha * map_matrix(p.a, p.K, p.M).transpose() *
                   map_matrix(p.b, p.K, p.N);
  } else if (p.b.transposed) {
    c.noalias() += p.alpha * map_matrix(p.a, p.M, p.K) *
                   map_matrix(p.b, p.N, p.K).transpose();
  } else {
    c.noalias() +=
        p.alpha * map_matrix(p.a, p.M, p.K) * map_matrix(p.b, p.K, p.N);
  }
}

}  // namespace
}  // namespace tessera::quant
