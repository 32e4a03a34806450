// SPDX-License-Identifier: Apache-2.0
//
// Times OpenBLAS: f32 products.

#include <cblas.h>

#include <memory>

#include "framework/bench/peers/programs/peer_program.hpp"

namespace tessera::bench {
namespace {

struct Product {
  PeerLinear linear;
  std::vector<std::vector<float>> weights;
  std::vector<float> y;

  void run(int64_t turn) {
    const float* w = weights[static_cast<size_t>(turn % linear.copies)].data();
    const auto M = static_cast<blasint>(linear.M);
    const auto N = static_cast<blasint>(linear.N);
    const auto K = static_cast<blasint>(linear.K);
    if (M == 1) {
      cblas_sgemv(CblasRowMajor, CblasNoTrans, N, K, 1.0f, w, K,
                  linear.x.data(), 1, 0.0f, y.data(), 1);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, 1.0f,
                  linear.x.data(), K, w, K, 0.0f, y.data(), N);
    }
  }
};

PeerCase make(const nlohmann::json& request) {
  if (request.at("scheme") != "f32") return refused("f32 products alone");
  auto product = std::make_shared<Product>();
  product->linear = read_linear(request, sizeof(float));
  product->weights.assign(static_cast<size_t>(product->linear.copies),
                          product->linear.w);
  product->y.resize(static_cast<size_t>(product->linear.M * product->linear.N));
  openblas_set_num_threads(request.at("threads"));
  product->run(0);
  if (!is_right(product->linear, product->y.data(), 1e-5)) {
    return refused("its result is wrong");
  }
  return {product->linear.M == 1 ? "sgemv" : "sgemm", "",
          [product](int64_t turn) { product->run(turn); }};
}

}  // namespace
}  // namespace tessera::bench

int main() {
  return tessera::bench::serve(
      "OpenBLAS " + std::string(openblas_get_config()).substr(9, 6),
      tessera::bench::make);
}
