// SPDX-License-Identifier: Apache-2.0
//
// Where the host's timelines lie: in memory that can be shown to a child.

#pragma once

#include <cstdint>

#include "tessera/plugin.h"

namespace tessera {

// A zeroed cell, or null if there is no memory.  Any thread.
tsr_timeline* alloc_timeline_cell();
void free_timeline_cell(tsr_timeline* cell);

// A cell as another process finds it.
struct TimelinePlace {
  int fd = -1;         // of shared memory; open as long as the process lives
  uint64_t bytes = 0;  // of that memory
  uint64_t offset = 0;
};

// False if `cell` is not one of these.
bool find_timeline_cell(const tsr_timeline* cell, TimelinePlace* out_place);

}  // namespace tessera
