// SPDX-License-Identifier: Apache-2.0
//
// Cholesky factor and inverse of large symmetric matrices, in place and in
// blocks, so that a Hessian of K = 14336 needs no second K x K array.

#pragma once

#include <cstdint>
#include <span>

#include "framework/base/status.hpp"
#include "framework/quant/algebra/parallel.hpp"

namespace tessera::quant {

// Replaces the lower triangle of A by L with A = L L^T.  What is above the
// diagonal is neither read nor written.
//
// Shapes    a [K, K], row-major
// Types     f32; blocks on the diagonal are factored in f64
// Errors    FAILED_PRECONDITION, naming the column, if A is not positive
//           definite to working precision; the lower triangle is then spoilt
// Source    right-looking blocked form: Golub and Van Loan, Matrix
//           Computations, 4th ed., section 4.2.6
Status factor_lower(uint32_t K, std::span<float> a, const ParallelFor& run);

// Replaces L (lower, as factor_lower leaves it) by its inverse; zeros above.
void invert_lower(uint32_t K, std::span<float> a, const ParallelFor& run);

// Replaces A, symmetric, by the upper U with A^-1 = U^T U, zeros below: what
// GPTQ walks along.  One factorization and one inversion, without A^-1 itself:
// with the order of rows and columns reversed, A = L L^T, and U is L^-1
// reversed back.
//
// Errors  as factor_lower, with columns counted from the last; `a` is then as
//         it was
Status inverse_upper_factor(uint32_t K, std::span<float> a,
                            const ParallelFor& run);

}  // namespace tessera::quant
