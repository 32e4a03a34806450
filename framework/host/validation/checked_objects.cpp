// SPDX-License-Identifier: Apache-2.0
//
// Buffers, weights and KV pools of a checked table.

#include <fmt/format.h>

#include "framework/host/validation/checked_call.hpp"
#include "framework/host/validation/checked_tables.hpp"

namespace tessera::validation {
namespace {

// ---- Buffers

tsr_status buffer_create(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  CheckedCall call(device, "buffer_create");
  call.creates(kBuffer, desc->id);
  const auto function = call.api().buffer_create;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, desc, e); }, err);
  call.made(kBuffer, desc->id, status);
  if (status == TSR_OK) call.here().buffer_bytes[desc->id] = desc->bytes;
  return status;
}

tsr_status buffer_import(tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t type, uint64_t handle, tsr_error* err) {
  CheckedCall call(device, "buffer_import");
  call.creates(kBuffer, desc->id);
  const auto function = call.api().buffer_import;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, desc, type, handle, e); },
      err);
  call.made(kBuffer, desc->id, status);
  if (status == TSR_OK) call.here().buffer_bytes[desc->id] = desc->bytes;
  return status;
}

tsr_status buffer_map(tsr_device* device, uint64_t id, tsr_error* err,
                      void** out) {
  CheckedCall call(device, "buffer_map");
  call.needs(kBuffer, id);
  const auto function = call.api().buffer_map;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, id, e, out); }, err);
  if (status == TSR_OK && *out == nullptr) call.plugin("maps to NULL");
  return status;
}

tsr_status buffer_export(tsr_device* device, uint64_t id, uint32_t type,
                         tsr_error* err, uint64_t* out) {
  CheckedCall call(device, "buffer_export");
  call.needs(kBuffer, id);
  const auto function = call.api().buffer_export;
  return call.run(
      [&](tsr_error* e) { return function(device, id, type, e, out); }, err);
}

tsr_status buffer_flush(tsr_device* device, uint64_t id, uint64_t offset,
                        uint64_t bytes, tsr_error* err) {
  CheckedCall call(device, "buffer_flush");
  call.needs_bytes(id, offset, bytes);
  const auto function = call.api().buffer_flush;
  return call.run(
      [&](tsr_error* e) { return function(device, id, offset, bytes, e); },
      err);
}

tsr_status buffer_invalidate(tsr_device* device, uint64_t id, uint64_t offset,
                             uint64_t bytes, tsr_error* err) {
  CheckedCall call(device, "buffer_invalidate");
  call.needs_bytes(id, offset, bytes);
  const auto function = call.api().buffer_invalidate;
  return call.run(
      [&](tsr_error* e) { return function(device, id, offset, bytes, e); },
      err);
}

void buffer_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "buffer_destroy");
  call.here().buffer_bytes.erase(id);
  call.destroys(kBuffer, id, device, call.api().buffer_destroy);
}

// ---- Weights and pools

void check_alignment(CheckedCall& call, uint32_t alignment) {
  if ((alignment & (alignment - 1)) == 0) return;
  call.plugin(fmt::format("alignment {}", alignment));
}

tsr_status weight_query(tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out) {
  CheckedCall call(device, "weight_query");
  const auto function = call.api().weight_query;
  const uint32_t size = out->struct_size;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, desc, e, out); }, err);
  if (out->struct_size > size) call.plugin("struct_size grew");
  if (status != TSR_OK || size < sizeof(*out)) return status;
  check_alignment(call, out->alignment);
  return status;
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err, tsr_packing** out) {
  CheckedCall call(device, "packing_begin");
  call.creates(kWeight, id);
  call.needs(kBuffer, buffer);
  const auto function = call.api().packing_begin;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e, out);
      },
      err);
  if (status != TSR_OK) return status;
  if (*out == nullptr) call.plugin("says OK, and begins nothing");
  state().packings[*out] = {device, id, desc->N, 0};
  ++call.here().num_packings;
  return status;
}

// What was begun; all zeros if nothing was.
PackingState begun(tsr_packing* packing) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  const auto found = state().packings.find(packing);
  return found == state().packings.end() ? PackingState() : found->second;
}

tsr_status packing_slice(tsr_packing* packing, uint32_t n_begin, uint32_t n_end,
                         const tsr_weight_desc* slice, tsr_error* err) {
  const PackingState whole = begun(packing);
  CheckedCall call(whole.device, "packing_slice");
  if (n_begin >= n_end || n_end > whole.N) {
    call.host(fmt::format("rows {} to {} of {}", n_begin, n_end, whole.N));
  }
  const auto function = call.api().packing_slice;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(packing, n_begin, n_end, slice, e); },
      err);
  const auto found = state().packings.find(packing);
  if (status == TSR_OK && found != state().packings.end()) {
    found->second.packed_rows += n_end - n_begin;
  }
  return status;
}

tsr_status packing_end(tsr_packing* packing, uint32_t commit, tsr_error* err) {
  const PackingState whole = begun(packing);
  CheckedCall call(whole.device, "packing_end");
  state().packings.erase(packing);
  if (call.here().num_packings > 0) --call.here().num_packings;
  const auto function = call.api().packing_end;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(packing, commit, e); }, err);
  if (commit == 0) return status;
  if (status == TSR_OK && whole.packed_rows < whole.N) {
    call.plugin(
        fmt::format("commits {} of {} rows", whole.packed_rows, whole.N));
  }
  call.made(kWeight, whole.weight, status);
  return status;
}

tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  CheckedCall call(device, "weight_create");
  call.creates(kWeight, id);
  if (buffer != 0) call.needs(kBuffer, buffer);
  const auto function = call.api().weight_create;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e);
      },
      err);
  call.made(kWeight, id, status);
  return status;
}

void weight_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "weight_destroy");
  call.destroys(kWeight, id, device, call.api().weight_destroy);
}

tsr_status kv_query(tsr_device* device, const tsr_kv_desc* desc, tsr_error* err,
                    tsr_kv_info* out) {
  CheckedCall call(device, "kv_query");
  const auto function = call.api().kv_query;
  const uint32_t size = out->struct_size;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, desc, e, out); }, err);
  if (out->struct_size > size) call.plugin("struct_size grew");
  if (status != TSR_OK || size < sizeof(*out)) return status;
  check_alignment(call, out->alignment);
  if (out->block_bytes == 0) call.plugin("blocks of 0 bytes");
  return status;
}

tsr_status kv_create(tsr_device* device, uint64_t id, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
  CheckedCall call(device, "kv_create");
  call.creates(kPool, id);
  call.needs(kBuffer, buffer);
  const auto function = call.api().kv_create;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e);
      },
      err);
  call.made(kPool, id, status);
  return status;
}

void kv_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "kv_destroy");
  call.destroys(kPool, id, device, call.api().kv_destroy);
}

}  // namespace

void check_objects(tsr_api& api) {
  api.buffer_create = buffer_create;
  api.buffer_import = buffer_import;
  api.buffer_export = buffer_export;
  api.buffer_map = buffer_map;
  api.buffer_flush = buffer_flush;
  api.buffer_invalidate = buffer_invalidate;
  api.buffer_destroy = buffer_destroy;
  api.weight_query = weight_query;
  api.packing_begin = packing_begin;
  api.packing_slice = packing_slice;
  api.packing_end = packing_end;
  api.weight_create = weight_create;
  api.weight_destroy = weight_destroy;
  api.kv_query = kv_query;
  api.kv_create = kv_create;
  api.kv_destroy = kv_destroy;
}

}  // namespace tessera::validation
