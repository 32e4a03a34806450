// SPDX-License-Identifier: Apache-2.0
//
// Output files appear whole or not at all.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// Replaces the file at `path` by `contents`: writes a temporary file beside it,
// then renames.  On failure the old file, if any, is untouched.
// Errors: FAILED_PRECONDITION, naming the path and the reason.
Status write_file_atomically(const std::string& path,
                             std::string_view contents);

}  // namespace tessera
