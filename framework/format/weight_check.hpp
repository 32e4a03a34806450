// SPDX-License-Identifier: Apache-2.0
//
// Is a weight what tessera/types.h says its format looks like?

#pragma once

#include <optional>

#include "framework/base/status.hpp"
#include "tessera/types.h"

namespace tessera::format {

// The first plane of that role; empty if there is none.
std::optional<tsr_plane> find_plane(const tsr_weight_desc& desc, uint32_t role);

// OK if every plane that the format needs is there, with a dtype, shape and
// block that types.h allows, so that readers may index without further checks.
// Optional planes are held to the same rules; planes of unknown role are
// skipped.  Data is not read: pointers may be null.
//
// Errors  INVALID_ARGUMENT, naming the plane and the values that clash;
//         UNIMPLEMENTED for an unknown format or must-understand extension
Status check_weight(const tsr_weight_desc& desc);

// The dtype of the CODES plane of a format that has one code per element; NONE
// for GGUF and SPARSE formats and unknown ones.
uint32_t weight_code_dtype(uint32_t format);

}  // namespace tessera::format
