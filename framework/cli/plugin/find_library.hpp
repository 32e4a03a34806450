// SPDX-License-Identifier: Apache-2.0
//
// Files of a plugin that the user named, for its vendor's commands.

#pragma once

#include <string>

#include "framework/base/status.hpp"

namespace tessera::cli {

// A path is taken as it is; of a manifest the library beside it.  A name is
// looked for where plugins are found.
// Errors: NOT_FOUND, saying what to give.
Result<std::string> find_library(const std::string& plugin);
// Its manifest, absolute: of a name, of the manifest itself or of the library.
// Errors: likewise.
Result<std::string> find_manifest(const std::string& plugin);

}  // namespace tessera::cli
