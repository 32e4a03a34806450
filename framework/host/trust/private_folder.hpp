// SPDX-License-Identifier: Apache-2.0
//
// Folders of this user alone: caches and what the host remembers.

#pragma once

#include <string>

namespace tessera {

// Creates the folder and those above it, for this user alone; one that is there
// stays as it is.  False, with errno, if it cannot be.
//
// Requires  `path` is absolute
bool create_private_folder(const std::string& path);

}  // namespace tessera
