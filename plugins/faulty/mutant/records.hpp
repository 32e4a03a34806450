// SPDX-License-Identifier: Apache-2.0
//
// Faults of plugins that read records and fill structs by themselves.

#pragma once

#include "tessera/plugin.h"

namespace mutant {

// Replaces functions of the table where a fault says so.
void spoil_records(tsr_api& api);

}  // namespace mutant
