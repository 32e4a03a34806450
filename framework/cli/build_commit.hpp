// SPDX-License-Identifier: Apache-2.0
//
// Written anew by every build, so that nothing else is.

#pragma once

#include <string>

namespace tessera::cli {

// The commit this program was built from, with "-dirty" if files had changed
// since; "unknown" outside a checkout.
std::string build_commit();

}  // namespace tessera::cli
