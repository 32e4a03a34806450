// SPDX-License-Identifier: Apache-2.0
//
// Which files may be loaded: those that nobody but root and this user can have
// written or exchanged.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/host/services/shared_memory.hpp"

namespace tessera {

// A file that passed the checks, open for reading.
struct TrustedFile {
  std::string path;  // absolute, without symlinks
  FileDescriptor fd;
};

// Opens a regular file.  It and its folder belong to root or this user, and
// nobody else may write them; a group may if this user is alone in it.  Nobody
// else may exchange a folder further up either: those that lead to this
// program's own executable are not asked, since whoever can exchange them can
// exchange the program.
//
// Errors  NOT_FOUND if it is not there;
//         FAILED_PRECONDITION, with the path, its owner and mode, otherwise
Result<TrustedFile> open_trusted(const std::string& path);

// The folder of this program's executable; "" if unknown.
std::string executable_folder();

}  // namespace tessera
