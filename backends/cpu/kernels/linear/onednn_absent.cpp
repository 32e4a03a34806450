// SPDX-License-Identifier: Apache-2.0
//
// onednn_matmul.hpp in a build without oneDNN.

#include "backends/cpu/kernels/linear/onednn_matmul.hpp"

namespace tessera::cpu {

std::shared_ptr<const DenseMatmul> find_dense_matmul(
    const DenseShape& /*shape*/) {
  return nullptr;
}

bool has_dense_matmul(uint32_t /*dtype*/) { return false; }

}  // namespace tessera::cpu
