// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/integer_amx.hpp"

#include "backends/cpu/kernels/amx_tiles.hpp"

namespace tessera::cpu {

void integer_i8_tiles_amx(const IntegerWork& work) {
  IntegerAmx<AmxTiles>::run(work);
}

}  // namespace tessera::cpu
