// SPDX-License-Identifier: Apache-2.0
//
// Chooses the product's ISA, once.

#include "framework/quant/algebra/dense_product.hpp"

#include "framework/quant/algebra/dense_product_kernel.hpp"

namespace tessera::quant {

#if defined(TSR_QUANT_HAS_AVX)
void add_product_avx2(const DenseProduct& p);
void add_product_avx512(const DenseProduct& p);
#endif

namespace {

using Product = void (*)(const DenseProduct&);

Product choose_product() {
#if defined(TSR_QUANT_HAS_AVX)
  const bool has_avx512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (has_avx512) return add_product_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return add_product_avx2;
  }
#endif
  return add_product_with_eigen;
}

}  // namespace

void add_product(const DenseProduct& p) {
  static const Product product = choose_product();
  product(p);
}

}  // namespace tessera::quant
