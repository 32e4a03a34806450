// SPDX-License-Identifier: Apache-2.0
//
// Without oneDNN, all rows go through our own kernels.

#include "backends/cpu/kernels/linear/linear_dense.hpp"

namespace tessera::cpu {

bool runs_dense(const LinearWeight& /*weight*/, const Linear& /*op*/,
                const LinearRowOps& /*row_ops*/, const Workspace& /*workspace*/,
                const Parallel& /*parallel*/) {
  return false;
}

}  // namespace tessera::cpu
