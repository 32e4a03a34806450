// SPDX-License-Identifier: Apache-2.0
//
// Whether the tile registers do what the processor announces.

#pragma once

namespace tessera::cpu {

// That tiles multiply as they should.  Only where the processor has them and
// the system lets the process use them.
bool amx_multiplies();

}  // namespace tessera::cpu
