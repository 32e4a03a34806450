// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/cpu/linear/emulated_kernels.hpp"

#include "backends/cpu/kernels/linear/amx_kernels.hpp"
#include "tests/unit/backends/cpu/amx/emulated_tiles.hpp"

namespace tessera::cpu {

AmxKernelSet emulated_kernels() { return amx_kernel_set<EmulatedTiles>(); }

}  // namespace tessera::cpu
