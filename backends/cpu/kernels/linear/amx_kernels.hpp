// SPDX-License-Identifier: Apache-2.0
//
// The linear kernels by tiles of AMX as one set, over any `Tiles` with the
// members of AmxTiles.  Only files compiled for AVX-512 BF16 and VBMI may
// include this.

#pragma once

#include <utility>

#include "backends/cpu/kernels/linear/bf16_amx.hpp"
#include "backends/cpu/kernels/linear/bf16_panel.hpp"
#include "backends/cpu/kernels/linear/integer_amx.hpp"
#include "backends/cpu/kernels/linear/integer_groups_amx.hpp"

namespace tessera::cpu {

template <typename Tiles>
constexpr AmxKernelSet amx_kernel_set() {
  return []<int... kFormats>(std::integer_sequence<int, kFormats...>) {
    return AmxKernelSet{
        {{Bf16Panel<kFormats, Bf16Amx<Tiles>::template Product>::run...}},
        integer_i8_by_amx<Tiles>,
        IntegerGroupsAmx<Tiles>::run};
  }
  (std::make_integer_sequence<int, kNumTileFormats>());
}

}  // namespace tessera::cpu
