// SPDX-License-Identifier: Apache-2.0
//
// The hash that a manifest names its library by.

#pragma once

#include <string>

#include "framework/base/status.hpp"

namespace tessera {

// SHA-256 of the file open as `fd`, from its first byte, as 64 lower-case hex
// digits.  The descriptor's position stays.
// Errors: FAILED_PRECONDITION if it cannot be read.
Result<std::string> sha256_of_file(int fd);

}  // namespace tessera
