// SPDX-License-Identifier: Apache-2.0
//
// Where work is submitted.  Submitting does the work: waits, runs, signals.

#ifndef QUEUE_H
#define QUEUE_H

#include "device.h"

// Of tsr_api.
tsr_status queue_create(tsr_device* device, tsr_error* err,
                        tsr_queue** out_queue);
tsr_status queue_submit(tsr_queue* queue, const tsr_submission* submission,
                        tsr_error* err);
void queue_destroy(tsr_queue* queue);

#endif  // QUEUE_H
