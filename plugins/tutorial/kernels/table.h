// SPDX-License-Identifier: Apache-2.0
//
// What the device can run, as data: the host reads it without asking.

#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "tessera/plugin.h"

// Of tsr_kernel_desc.
tsr_array kernel_table(void);

#endif  // KERNELS_TABLE_H
