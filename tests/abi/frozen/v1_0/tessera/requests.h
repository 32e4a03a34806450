// SPDX-License-Identifier: Apache-2.0
//
// tessera/requests.h - the devices that a user asked a plugin for, such as a
// simulator's with a profile of the user's own.
//
// The host chains the node to tsr_host_services.next for every plugin, which
// may ignore it.  One whose header says TSR_PLUGIN_TAKES_REQUESTS makes a
// device for each string.

#ifndef TSR_REQUESTS_H
#define TSR_REQUESTS_H

#include "tessera/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_REQUESTED_DEVICES_NAME "dev.tessera.requested_devices"

#define TSR_REQUESTED_BYTES 4096u

// What followed "plugin:" in each device that the user named, one after the
// other, each with its NUL.
typedef struct tsr_requested_devices {
  tsr_ext ext;
  uint32_t count;
  uint32_t bytes;  // of text, NULs included
  char text[TSR_REQUESTED_BYTES];
} tsr_requested_devices;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_REQUESTS_H
