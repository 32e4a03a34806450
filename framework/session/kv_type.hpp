// SPDX-License-Identifier: Apache-2.0
//
// KV cache types by the names that commands and plan files use.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "framework/format/scheme.hpp"

namespace tessera {

// TSR_KV_* by name: "f16", "int8", "fa3".
const std::map<std::string, uint32_t>& kv_types();

// `scheme` with its KV cache of the type named `kv`, if that is a name.
Scheme with_kv_type(Scheme scheme, const std::string& kv);

}  // namespace tessera
