// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/cpu/attention/runnable_kernels.hpp"

namespace tessera::cpu {
namespace {

AttentionKernel on_emulated_tiles(AttentionKernel kernel) {
  const AttentionFunctions functions = kernel.kv_format == TSR_KV_I8_HEAD
                                           ? emulated_int8()
                                           : emulated_bf16(kernel.kv_format);
  kernel.prepare = functions.prepare;
  kernel.run = functions.run;
  kernel.combine = functions.combine;
  return kernel;
}

std::vector<AttentionKernel> find_runnable() {
  std::vector<AttentionKernel> kernels;
  for (const AttentionKernel& kernel : attention_kernels()) {
    if (kernel.isa <= best_isa()) {
      kernels.push_back(kernel);
    } else if (kernel.isa == Isa::kAmx && best_isa() >= Isa::kAvx512Bf16) {
      kernels.push_back(on_emulated_tiles(kernel));
    }
  }
  return kernels;
}

}  // namespace

const std::vector<AttentionKernel>& runnable_kernels() {
  static const std::vector<AttentionKernel> kernels = find_runnable();
  return kernels;
}

}  // namespace tessera::cpu
