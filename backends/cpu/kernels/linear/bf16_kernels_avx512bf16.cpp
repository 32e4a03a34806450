// SPDX-License-Identifier: Apache-2.0
//
// The kernels for bf16 inputs with vdpbf16ps.

#include <utility>

#include "backends/cpu/kernels/linear/bf16_panel.hpp"
#include "backends/cpu/kernels/linear/bf16_registers.hpp"
#include "backends/cpu/kernels/linear/bf16_tiles.hpp"
#include "backends/cpu/kernels/linear/few_rows.hpp"

namespace tessera::cpu {
namespace {

template <int... kFormats>
constexpr Bf16KernelSet kernel_set(
    std::integer_sequence<int, kFormats...> /*formats*/) {
  return {{{FewRows<Avx512, Bf16Tiles, kFormats>::run...}},
          {{Bf16Panel<kFormats, Bf16Registers>::run...}}};
}

}  // namespace

const Bf16KernelSet& bf16_kernels_avx512bf16() {
  static constexpr Bf16KernelSet kSet =
      kernel_set(std::make_integer_sequence<int, kNumTileFormats>());
  return kSet;
}

}  // namespace tessera::cpu
