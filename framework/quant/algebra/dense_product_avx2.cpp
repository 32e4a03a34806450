// SPDX-License-Identifier: Apache-2.0
//
// The product with AVX2 and FMA; only dense_product.cpp calls it, after asking
// the CPU.

// The other copy of its templates must not be these.
// NOLINTNEXTLINE(readability-identifier-naming)
#define Eigen TesseraEigenAvx2
#include "framework/quant/algebra/dense_product_kernel.hpp"

namespace tessera::quant {

void add_product_avx2(const DenseProduct& p) { add_product_with_eigen(p); }

}  // namespace tessera::quant
