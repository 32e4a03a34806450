// SPDX-License-Identifier: Apache-2.0
//
// Buffers, weights and KV pools of a recorded plugin.

#include <utility>

#include "framework/host/recording/recorded_call.hpp"
#include "framework/host/recording/recorded_tables.hpp"
#include "framework/host/remote/wire_structs.hpp"
#include "tessera/record.hpp"

namespace tessera::recording {
namespace {

uint32_t own_kind(const DeviceState& device, uint32_t memory_kind) {
  const bool known = memory_kind < device.own_kinds.size();
  return known ? device.own_kinds[memory_kind] : memory_kind;
}

void put_buffer_desc(WireWriter& writer, const DeviceState& device,
                     const tsr_buffer_desc& desc) {
  writer.put(desc.id);
  writer.put(uint64_t{own_kind(device, desc.memory_kind)});
  writer.put(desc.bytes);
  put_extensions(writer, desc.next);
}

RecordedBuffer buffer_of(const DeviceState& device,
                         const tsr_buffer_desc& desc) {
  const bool known = desc.memory_kind < device.coherent_kinds.size();
  return {desc.bytes, !known || device.coherent_kinds[desc.memory_kind]};
}

void show(DeviceState& device, uint64_t id, void* memory) {
  const auto found = device.buffers.find(id);
  if (found == device.buffers.end() || memory == nullptr) return;
  auto& buffer = device.visible[id];
  if (buffer.memory == memory) return;
  buffer.memory = static_cast<std::byte*>(memory);
  buffer.coherent = found->second.coherent;
  buffer.known.assign(found->second.bytes, std::byte{});
}

tsr_status buffer_create(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  const auto value = sdk::read_struct<tsr_buffer_desc>(desc, desc->struct_size);
  RecordedCall call(device, Call::kBufferCreate);
  put_buffer_desc(call.arguments(), call.device(), value);
  const tsr_status status = call.run(
      [&](tsr_error* e) { return call.api().buffer_create(device, desc, e); },
      err);
  if (status == TSR_OK) {
    call.device().buffers[value.id] = buffer_of(call.device(), value);
  }
  return status;
}

tsr_status buffer_import(tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t type, uint64_t handle, tsr_error* err) {
  const auto value = sdk::read_struct<tsr_buffer_desc>(desc, desc->struct_size);
  RecordedCall call(device, Call::kBufferImport);
  put_buffer_desc(call.arguments(), call.device(), value);
  call.arguments().put(uint64_t{type});
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().buffer_import(device, desc, type, handle, e);
      },
      err);
  if (status != TSR_OK) return status;
  call.device().buffers[value.id] = buffer_of(call.device(), value);
  if (type == TSR_HANDLE_HOST_POINTER) {
    show(call.device(), value.id, reinterpret_cast<void*>(handle));
  }
  return status;
}

tsr_status buffer_export(tsr_device* device, uint64_t id, uint32_t type,
                         tsr_error* err, uint64_t* out) {
  RecordedCall call(device, Call::kBufferExport);
  call.arguments().put(id);
  call.arguments().put(uint64_t{type});
  return call.run(
      [&](tsr_error* e) {
        return call.api().buffer_export(device, id, type, e, out);
      },
      err);
}

tsr_status buffer_map(tsr_device* device, uint64_t id, tsr_error* err,
                      void** out) {
  RecordedCall call(device, Call::kBufferMap);
  call.arguments().put(id);
  const tsr_status status = call.run(
      [&](tsr_error* e) { return call.api().buffer_map(device, id, e, out); },
      err);
  if (status == TSR_OK) show(call.device(), id, *out);
  return status;
}

template <Call kCall, auto Member>
tsr_status sync_buffer(tsr_device* device, uint64_t id, uint64_t offset,
                       uint64_t bytes, tsr_error* err) {
  RecordedCall call(device, kCall);
  for (const uint64_t value : {id, offset, bytes}) call.arguments().put(value);
  return call.run(
      [&](tsr_error* e) {
        return (call.api().*Member)(device, id, offset, bytes, e);
      },
      err);
}

void forget_buffer(DeviceState& device, uint64_t id) {
  device.buffers.erase(id);
  device.visible.erase(id);
}
// ---- Weights and pools

// The data of all planes, then the desc.
void put_weight(WireWriter& writer, const tsr_weight_desc& desc) {
  std::vector<std::byte> data(shared_plane_bytes(desc));
  copy_planes(desc, data.data());
  writer.put_bytes(data);
  put_weight_desc(writer, desc);
}

tsr_status weight_query(tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out) {
  RecordedCall call(device, Call::kWeightQuery);
  put_weight(call.arguments(), *desc);
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().weight_query(device, desc, e, out);
      },
      err);
  if (status == TSR_OK) {
    auto info = sdk::read_struct<tsr_packed_info>(out, out->struct_size);
    info.memory_kind = own_kind(call.device(), info.memory_kind);
    call.results().put(info);
  }
  return status;
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err, tsr_packing** out) {
  RecordedCall call(device, Call::kPackingBegin);
  for (const uint64_t value : {id, buffer, offset}) call.arguments().put(value);
  put_weight(call.arguments(), *desc);
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().packing_begin(device, id, desc, buffer, offset, e,
                                        out);
      },
      err);
  if (status != TSR_OK) return status;
  const uint64_t ordinal = state().next_ordinal++;
  state().packings[*out] = {device, ordinal};
  call.results().put(ordinal);
  return status;
}

ObjectState find_packing(tsr_packing* packing) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  return state().packings[packing];
}

tsr_status packing_slice(tsr_packing* packing, uint32_t n_begin, uint32_t n_end,
                         const tsr_weight_desc* slice, tsr_error* err) {
  const ObjectState object = find_packing(packing);
  RecordedCall call(object.device, Call::kPackingSlice);
  for (const uint64_t value :
       {object.ordinal, uint64_t{n_begin}, uint64_t{n_end}}) {
    call.arguments().put(value);
  }
  put_weight(call.arguments(), *slice);
  return call.run(
      [&](tsr_error* e) {
        return call.api().packing_slice(packing, n_begin, n_end, slice, e);
      },
      err);
}

tsr_status packing_end(tsr_packing* packing, uint32_t commit, tsr_error* err) {
  const ObjectState object = find_packing(packing);
  RecordedCall call(object.device, Call::kPackingEnd);
  call.arguments().put(object.ordinal);
  call.arguments().put(uint64_t{commit});
  state().packings.erase(packing);
  return call.run(
      [&](tsr_error* e) { return call.api().packing_end(packing, commit, e); },
      err);
}

tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  RecordedCall call(device, Call::kWeightCreate);
  for (const uint64_t value : {id, buffer, offset}) call.arguments().put(value);
  put_weight(call.arguments(), *desc);
  return call.run(
      [&](tsr_error* e) {
        return call.api().weight_create(device, id, desc, buffer, offset, e);
      },
      err);
}

tsr_status kv_query(tsr_device* device, const tsr_kv_desc* desc, tsr_error* err,
                    tsr_kv_info* out) {
  RecordedCall call(device, Call::kKvQuery);
  put_kv_desc(call.arguments(), *desc);
  const tsr_status status = call.run(
      [&](tsr_error* e) { return call.api().kv_query(device, desc, e, out); },
      err);
  if (status == TSR_OK) {
    auto info = sdk::read_struct<tsr_kv_info>(out, out->struct_size);
    info.memory_kind = own_kind(call.device(), info.memory_kind);
    call.results().put(info);
  }
  return status;
}

tsr_status kv_create(tsr_device* device, uint64_t id, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
  RecordedCall call(device, Call::kKvCreate);
  call.arguments().put(id);
  put_kv_desc(call.arguments(), *desc);
  call.arguments().put(buffer);
  call.arguments().put(offset);
  return call.run(
      [&](tsr_error* e) {
        return call.api().kv_create(device, id, desc, buffer, offset, e);
      },
      err);
}

}  // namespace

void fill_recorded_objects(tsr_api& api) {
  api.buffer_create = buffer_create;
  api.buffer_import = buffer_import;
  api.buffer_export = buffer_export;
  api.buffer_map = buffer_map;
  api.buffer_flush = sync_buffer<Call::kBufferFlush, &tsr_api::buffer_flush>;
  api.buffer_invalidate =
      sync_buffer<Call::kBufferInvalidate, &tsr_api::buffer_invalidate>;
  api.buffer_destroy =
      destroy<Call::kBufferDestroy, &tsr_api::buffer_destroy, forget_buffer>;
  api.weight_query = weight_query;
  api.packing_begin = packing_begin;
  api.packing_slice = packing_slice;
  api.packing_end = packing_end;
  api.weight_create = weight_create;
  api.weight_destroy =
      destroy<Call::kWeightDestroy, &tsr_api::weight_destroy, forget_nothing>;
  api.kv_query = kv_query;
  api.kv_create = kv_create;
  api.kv_destroy =
      destroy<Call::kKvDestroy, &tsr_api::kv_destroy, forget_nothing>;
}

}  // namespace tessera::recording
