// SPDX-License-Identifier: Apache-2.0

#include "weight.h"

#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "error.h"

// Checks what the kernels rely on.
static tsr_status read_weight(const tsr_weight_desc* from, tsr_error* err,
                              weight* out) {
  copy_in(from, from->struct_size, &out->desc, sizeof(out->desc));
  const tsr_weight_desc* desc = &out->desc;
  const tsr_status status = require_understood(desc->next, err);
  if (status != TSR_OK) return status;
  if (desc->format != TSR_WEIGHT_F32 && desc->format != TSR_WEIGHT_I8) {
    return fail(err, TSR_UNIMPLEMENTED, "weights are f32 or i8, not %" PRIu32,
                desc->format);
  }
  const int is_i8 = desc->format == TSR_WEIGHT_I8;
  out->planes[0] = find_plane(desc, TSR_PLANE_CODES);
  out->planes[1] = find_plane(desc, TSR_PLANE_SCALE);
  const tsr_plane* codes = &out->planes[0];
  const uint64_t row_bytes = (uint64_t)desc->K * (is_i8 ? 1 : sizeof(float));
  if (desc->N == 0 || desc->K == 0 || codes->rows != desc->N ||
      codes->cols != desc->K || codes->row_bytes < row_bytes) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "weight [%" PRIu32 ", %" PRIu32 "]: codes are [%" PRIu32
                ", %" PRIu32 "]",
                desc->N, desc->K, codes->rows, codes->cols);
  }
  const tsr_plane* scales = &out->planes[1];
  if (is_i8 && (scales->rows != desc->N || scales->cols != 1 ||
                scales->dtype != TSR_F32)) {
    return fail(err, TSR_INVALID_ARGUMENT,
                "weight [%" PRIu32 ", %" PRIu32
                "]: scales are not f32, one for each row",
                desc->N, desc->K);
  }
  return TSR_OK;
}

tsr_status weight_query(tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out_info) {
  (void)device;
  weight made;
  const tsr_status status = read_weight(desc, err, &made);
  if (status != TSR_OK) return status;
  const tsr_packed_info info = {
      .bytes = 0,  // the raw planes are used in place
      .layout_version = 1,
      .alignment = 64,
      .n_multiple = 1,
      .keeps_raw = 1,
  };
  copy_out(&info, sizeof(info), out_info);
  return TSR_OK;
}

tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  (void)buffer;
  (void)offset;
  weight* made = calloc(1, sizeof(*made));
  if (made == NULL) return out_of_memory(err, sizeof(*made));
  tsr_status status = read_weight(desc, err, made);
  const int has_data =
      made->planes[0].data != NULL &&
      (made->desc.format == TSR_WEIGHT_F32 || made->planes[1].data != NULL);
  if (status == TSR_OK && !has_data) {
    status = fail(err, TSR_INVALID_ARGUMENT, "a plane has no data");
  }
  made->desc.planes = (tsr_array){made->planes, 2, sizeof(tsr_plane)};
  if (made->desc.format == TSR_WEIGHT_F32) made->desc.planes.count = 1;
  made->desc.next = NULL;
  if (status == TSR_OK) {
    status = device_insert(device, OBJECT_WEIGHT, id, made, err);
  }
  if (status != TSR_OK) free(made);
  return status;
}

void weight_destroy(tsr_device* device, uint64_t id) {
  free(device_remove(device, OBJECT_WEIGHT, id));
}

// ---- Packing: the host does not ask for what takes 0 bytes

tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err,
                         tsr_packing** out_packing) {
  (void)device;
  (void)id;
  (void)desc;
  (void)buffer;
  (void)offset;
  (void)out_packing;
  return fail(err, TSR_UNIMPLEMENTED, "weights are not packed");
}

tsr_status packing_slice(tsr_packing* packing, uint32_t n_begin, uint32_t n_end,
                         const tsr_weight_desc* slice, tsr_error* err) {
  (void)packing;
  (void)n_begin;
  (void)n_end;
  (void)slice;
  return fail(err, TSR_UNIMPLEMENTED, "weights are not packed");
}

tsr_status packing_end(tsr_packing* packing, uint32_t commit, tsr_error* err) {
  (void)packing;
  (void)commit;
  return fail(err, TSR_UNIMPLEMENTED, "weights are not packed");
}
