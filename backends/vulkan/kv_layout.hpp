// SPDX-License-Identifier: Apache-2.0
//
// Where the parts of canonical KV blocks lie; drawn in tessera/types.h.

#pragma once

#include "backends/vulkan/kernel_args.hpp"
#include "tessera/types.h"

namespace tessera::vulkan {

// The layout of a pool that starts at offset 0.
//
// Errors   throws INVALID_ARGUMENT for an unknown format, or sizes that are 0
//          or too large
KvPlace make_kv_place(const tsr_kv_desc& desc);

// Bytes of one code.
uint32_t kv_code_bytes(uint32_t format);

}  // namespace tessera::vulkan
