// SPDX-License-Identifier: Apache-2.0
//
// What the host sees: the header, and the table of functions.  Those that are
// left out (KV pools, estimates, profiles) the host fills with a refusal.

#include "tessera/plugin.h"

#include "buffers.h"
#include "check.h"
#include "device.h"
#include "error.h"
#include "program.h"
#include "queue.h"
#include "weight.h"

static const tsr_api api = {
    .struct_size = sizeof(tsr_api),
    .device_count = device_count,
    .device_info = device_info,
    .device_kernels = device_kernels,
    .device_open = device_open,
    .device_close = device_close,
    .check = check,
    .buffer_create = buffer_create,
    .buffer_import = buffer_import,
    .buffer_export = buffer_export,
    .buffer_map = buffer_map,
    .buffer_destroy = buffer_destroy,
    .weight_query = weight_query,
    .packing_begin = packing_begin,
    .packing_slice = packing_slice,
    .packing_end = packing_end,
    .weight_create = weight_create,
    .weight_destroy = weight_destroy,
    .program_create = program_create,
    .program_segment = program_segment,
    .program_destroy = program_destroy,
    .timeline_import = timeline_import,
    .timeline_forget = timeline_forget,
    .queue_create = queue_create,
    .queue_submit = queue_submit,
    .queue_destroy = queue_destroy,
};

static tsr_status get_api(uint32_t abi_version, const tsr_host_services* host,
                          tsr_error* err, const tsr_api** out_api) {
  (void)abi_version;  // the host chose it from the range below
  const tsr_status status = require_understood(host->next, err);
  if (status != TSR_OK) return status;
  set_host_services(host);
  *out_api = &api;
  return TSR_OK;
}

static const tsr_plugin_header header = {
    .struct_size = sizeof(tsr_plugin_header),
    .abi_min = TSR_ABI_MAJOR << 16,
    .abi_max = TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR,
    .flags = TSR_PLUGIN_UNLOADABLE,
    .name = "tutorial",
    .version = "0.1.0",
    .build_id = "0.1.0",
    .get_api = get_api,
};

const tsr_plugin_header* tsr_plugin_query_v1(void) { return &header; }
