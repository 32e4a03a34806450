// SPDX-License-Identifier: Apache-2.0
//
// A look at a library before the loader maps it: the loader of the C library
// trusts the file's headers and dies on a truncated one.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// Checks that the file open as `fd` is a whole shared library for this machine.
// Errors: FAILED_PRECONDITION, saying what is wrong.
Status check_library_file(int fd);

// Names of the libraries that the file open as `fd` is linked with.
//
// Requires  check_library_file passed
// Errors    FAILED_PRECONDITION if its tables are damaged
Result<std::vector<std::string>> needed_libraries(int fd);

// Names that the library at `path` defines for others to link with.
// Errors: NOT_FOUND; FAILED_PRECONDITION if its tables are damaged.
Result<std::vector<std::string>> exported_symbols(const std::string& path);

}  // namespace tessera
