// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/amx_kernels.hpp"

#include "backends/cpu/kernels/amx/amx_tiles.hpp"

namespace tessera::cpu {

const AmxKernelSet& amx_kernels() {
  static constexpr AmxKernelSet kSet = amx_kernel_set<AmxTiles>();
  return kSet;
}

}  // namespace tessera::cpu
