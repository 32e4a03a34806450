// SPDX-License-Identifier: Apache-2.0
//
// The product with AVX-512; only dense_product.cpp calls it, after asking the
// CPU.

// The other copies of its templates must not be these.
// NOLINTNEXTLINE(readability-identifier-naming)
#define Eigen TesseraEigenAvx512
#include "framework/quant/algebra/dense_product_kernel.hpp"

namespace tessera::quant {

void add_product_avx512(const DenseProduct& p) { add_product_with_eigen(p); }

}  // namespace tessera::quant
