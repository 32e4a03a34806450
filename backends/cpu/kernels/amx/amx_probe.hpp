// SPDX-License-Identifier: Apache-2.0
//
// Whether the tile registers do what the processor announces.

#pragma once

namespace tessera::cpu {

// That products by tiles are right, of each kind and through every register.
// Only where the processor has tiles and the system lets the process use them.
bool amx_multiplies();

}  // namespace tessera::cpu
