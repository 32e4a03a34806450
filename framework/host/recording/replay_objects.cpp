// SPDX-License-Identifier: Apache-2.0
//
// Buffers, weights and KV pools of a replay.

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "framework/host/recording/replayer.hpp"

namespace tessera::recording {

bool Replayer::get_weight(ReplayedWeight& out) {
  const std::span<const std::byte> data = arguments_.get_bytes();
  out.data = HostMemory(data.size());
  if (out.data.get() == nullptr) return false;
  if (!data.empty()) std::memcpy(out.data.get(), data.data(), data.size());
  return get_weight_desc(arguments_, out.data.get(), data.size(), &out.weight);
}

bool Replayer::get_buffer_desc(tsr_buffer_desc& desc, WireExtensions& storage) {
  desc.struct_size = sizeof(desc);
  desc.id = arguments_.get<uint64_t>();
  desc.memory_kind = get_u32();
  desc.bytes = arguments_.get<uint64_t>();
  desc.next = get_extensions(arguments_, storage);
  return arguments_.ok();
}

// A call that only ends the object it names.
tsr_status Replayer::destroy(decltype(tsr_api::kv_destroy) function) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  function(device->handle, arguments_.get<uint64_t>());
  return TSR_OK;
}

tsr_status Replayer::buffer_create(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  tsr_buffer_desc desc{};
  WireExtensions storage;
  if (!get_buffer_desc(desc, storage)) return cut_short();
  const tsr_status status = api_.buffer_create(device->handle, &desc, err);
  if (status == TSR_OK) device->buffers[desc.id].bytes = desc.bytes;
  return status;
}

tsr_status Replayer::buffer_import(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  tsr_buffer_desc desc{};
  WireExtensions storage;
  if (!get_buffer_desc(desc, storage)) return cut_short();
  const uint32_t type = get_u32();
  if (type != TSR_HANDLE_HOST_POINTER) {
    return cannot("a buffer of another process cannot be replayed");
  }
  ReplayedBuffer buffer;
  buffer.bytes = desc.bytes;
  buffer.own = HostMemory(desc.bytes);
  buffer.known = HostMemory(desc.bytes);
  if (buffer.own.get() == nullptr || buffer.known.get() == nullptr) {
    return cannot(
        fmt::format("no memory for a buffer of {} bytes", desc.bytes));
  }
  buffer.memory = buffer.own.get();
  const tsr_status status =
      api_.buffer_import(device->handle, &desc, type,
                         reinterpret_cast<uint64_t>(buffer.memory), err);
  if (status == TSR_OK) device->buffers[desc.id] = std::move(buffer);
  return status;
}

tsr_status Replayer::buffer_export(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  uint64_t handle = 0;
  skips_results_ = true;
  return api_.buffer_export(device->handle, id, get_u32(), err, &handle);
}

tsr_status Replayer::buffer_map(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  void* memory = nullptr;
  const tsr_status status = api_.buffer_map(device->handle, id, err, &memory);
  if (status != TSR_OK || memory == nullptr) return status;
  ReplayedBuffer& buffer = device->buffers[id];
  // The recording begins with zeros.
  if (buffer.memory == nullptr) {
    buffer.known = HostMemory(buffer.bytes);
    if (buffer.known.get() == nullptr) {
      return cannot(
          fmt::format("no memory for a buffer of {} bytes", buffer.bytes));
    }
    std::memset(memory, 0, buffer.bytes);
  }
  buffer.memory = static_cast<std::byte*>(memory);
  return status;
}

tsr_status Replayer::sync_buffer(decltype(tsr_api::buffer_flush) function,
                                 tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  const auto offset = arguments_.get<uint64_t>();
  return function(device->handle, id, offset, arguments_.get<uint64_t>(), err);
}

tsr_status Replayer::buffer_flush(tsr_error* err) {
  return sync_buffer(api_.buffer_flush, err);
}

tsr_status Replayer::buffer_invalidate(tsr_error* err) {
  return sync_buffer(api_.buffer_invalidate, err);
}

tsr_status Replayer::buffer_destroy(tsr_error* /*err*/) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  api_.buffer_destroy(device->handle, id);
  device->buffers.erase(id);
  return TSR_OK;
}

tsr_status Replayer::weight_query(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  ReplayedWeight weight;
  if (!get_weight(weight)) return cut_short();
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  const tsr_status status =
      api_.weight_query(device->handle, &weight.weight.desc, err, &info);
  outputs_.put(info);
  return status;
}

tsr_status Replayer::packing_begin(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  const auto buffer = arguments_.get<uint64_t>();
  const auto offset = arguments_.get<uint64_t>();
  ReplayedWeight weight;
  if (!get_weight(weight)) return cut_short();
  tsr_packing* packing = nullptr;
  skips_results_ = true;
  const tsr_status status = api_.packing_begin(
      device->handle, id, &weight.weight.desc, buffer, offset, err, &packing);
  if (status == TSR_OK) packings_[recorded_ordinal()] = {device, packing};
  return status;
}

tsr_status Replayer::packing_slice(tsr_error* err) {
  const ReplayedObject* packing = get_object(packings_, "packing");
  if (packing == nullptr) return TSR_OK;
  const uint32_t n_begin = get_u32();
  const uint32_t n_end = get_u32();
  ReplayedWeight slice;
  if (!get_weight(slice)) return cut_short();
  return api_.packing_slice(static_cast<tsr_packing*>(packing->handle), n_begin,
                            n_end, &slice.weight.desc, err);
}

tsr_status Replayer::packing_end(tsr_error* err) {
  ReplayedObject* packing = get_object(packings_, "packing");
  if (packing == nullptr) return TSR_OK;
  auto* handle = static_cast<tsr_packing*>(packing->handle);
  std::erase_if(packings_, [packing](const auto& entry) {
    return &entry.second == packing;
  });
  return api_.packing_end(handle, get_u32(), err);
}

tsr_status Replayer::weight_create(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  const auto buffer = arguments_.get<uint64_t>();
  const auto offset = arguments_.get<uint64_t>();
  // Planes in place are read until the weight is destroyed.
  device->weights.erase(id);
  ReplayedWeight& weight = device->weights[id];
  if (!get_weight(weight)) return cut_short();
  return api_.weight_create(device->handle, id, &weight.weight.desc, buffer,
                            offset, err);
}

tsr_status Replayer::weight_destroy(tsr_error* /*err*/) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  api_.weight_destroy(device->handle, id);
  device->weights.erase(id);
  return TSR_OK;
}

tsr_status Replayer::kv_query(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  WireExtensions storage;
  const tsr_kv_desc desc = get_kv_desc(arguments_, storage);
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  const tsr_status status = api_.kv_query(device->handle, &desc, err, &info);
  outputs_.put(info);
  return status;
}

tsr_status Replayer::kv_create(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  WireExtensions storage;
  const tsr_kv_desc desc = get_kv_desc(arguments_, storage);
  const auto buffer = arguments_.get<uint64_t>();
  const auto offset = arguments_.get<uint64_t>();
  return api_.kv_create(device->handle, id, &desc, buffer, offset, err);
}

tsr_status Replayer::kv_destroy(tsr_error* /*err*/) {
  return destroy(api_.kv_destroy);
}

}  // namespace tessera::recording
