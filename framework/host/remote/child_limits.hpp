// SPDX-License-Identifier: Apache-2.0
//
// What the process of an isolated plugin may not do.

#pragma once

#include "framework/base/status.hpp"

namespace tessera {

// The child ends with the host, keeps no descriptor from `first_closed` on,
// gains no rights, dumps no core, and is the first to go when memory runs out.
void limit_child(int first_closed);

// From now on this process starts no programs, opens no connections, touches no
// other process and changes nothing of the system: such calls fail with EPERM.
// Files stay as open to it as to the user.
//
// Errors  UNIMPLEMENTED on a machine that the filter is not written for;
//         FAILED_PRECONDITION if the kernel refuses it
Status enter_sandbox();

}  // namespace tessera
