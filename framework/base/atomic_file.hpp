// SPDX-License-Identifier: Apache-2.0
//
// Output files appear whole or not at all.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// Replaces the file at `path` by way of a temporary one beside it: on failure
// the old file, if any, is untouched.  A device or a pipe is written into.
// Errors: FAILED_PRECONDITION, naming the path and the reason.
Status write_file_atomically(const std::string& path,
                             std::string_view contents);

}  // namespace tessera
