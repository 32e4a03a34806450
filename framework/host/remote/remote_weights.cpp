// SPDX-License-Identifier: Apache-2.0
//
// Weights and KV pools of a plugin in a child.  Planes cross in shared memory.

#include <utility>

#include "framework/host/remote/remote_plugin.hpp"
#include "tessera/error.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

RemoteObject& packing_of(tsr_packing* packing) {
  return *reinterpret_cast<RemoteObject*>(packing);
}

// Writes `desc`, with its planes' data in the child's bulk memory.
tsr_status put_with_bulk(RemoteCall& call, const tsr_weight_desc& desc,
                         tsr_error* err) {
  const Result<bool> is_new = call.reserve_bulk(shared_plane_bytes(desc));
  if (!is_new.ok()) {
    return fail_call(err, TSR_RESOURCE_EXHAUSTED, TSR_RETRY_SMALLER,
                     is_new.status().message());
  }
  copy_planes(desc, call.bulk().data());
  call.arguments().put(uint64_t{*is_new ? call.bulk().bytes() : 0});
  if (*is_new) call.arguments().put_fd(call.bulk().fd());
  put_weight_desc(call.arguments(), desc);
  return TSR_OK;
}

tsr_weight_desc without_data(const tsr_weight_desc& desc,
                             std::vector<tsr_plane>& out_planes) {
  out_planes = sdk::Elements<tsr_plane>(desc.planes).all();
  for (tsr_plane& plane : out_planes) plane.data = nullptr;
  tsr_weight_desc result = desc;
  result.planes = {out_planes.data(), static_cast<uint32_t>(out_planes.size()),
                   sizeof(tsr_plane)};
  return result;
}

tsr_status query_weight(tsr_device* handle, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out_info) {
  RemoteDevice& device = remote_device(handle);
  std::vector<tsr_plane> planes;
  RemoteCall call = remote_call(device, CallId::kWeightQuery);
  put_weight_desc(call.arguments(), without_data(*desc, planes));
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  auto info = call.results().get<tsr_packed_info>();
  info.memory_kind = device.private_kind(info.memory_kind);
  if (info.bytes != 0 && info.keeps_raw != 0) {
    return fail_call(err, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                     "packing that keeps raw planes cannot be isolated");
  }
  sdk::detail::copy_out(info, out_info);
  return TSR_OK;
}

// The ABI's parameters.
// NOLINTNEXTLINE(readability-function-size)
tsr_status begin_packing(tsr_device* handle, uint64_t weight,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err,
                         tsr_packing** out_packing) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kPackingBegin);
  call.arguments().put(weight);
  call.arguments().put(buffer);
  call.arguments().put(offset);
  tsr_status code = put_with_bulk(call, *desc, err);
  if (code == TSR_OK) code = call.run(err);
  if (code != TSR_OK) return code;
  *out_packing = reinterpret_cast<tsr_packing*>(
      new RemoteObject{&device, call.results().get<uint64_t>()});
  return TSR_OK;
}

tsr_status pack_slice(tsr_packing* handle, uint32_t n_begin, uint32_t n_end,
                      const tsr_weight_desc* slice, tsr_error* err) {
  const RemoteObject& packing = packing_of(handle);
  RemoteCall call =
      remote_call(*packing.device, CallId::kPackingSlice, packing.handle);
  call.arguments().put(uint64_t{n_begin});
  call.arguments().put(uint64_t{n_end});
  const tsr_status code = put_with_bulk(call, *slice, err);
  return code == TSR_OK ? call.run(err) : code;
}

tsr_status end_packing(tsr_packing* handle, uint32_t commit, tsr_error* err) {
  const std::unique_ptr<RemoteObject> packing(&packing_of(handle));
  RemoteCall call =
      remote_call(*packing->device, CallId::kPackingEnd, packing->handle);
  call.arguments().put(uint64_t{commit});
  return call.run(err);
}

// The child keeps the planes until the weight is destroyed, so they get shared
// memory of their own.
tsr_status create_weight(tsr_device* handle, uint64_t weight,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  RemoteDevice& device = remote_device(handle);
  const Result<SharedMemory> planes =
      SharedMemory::create("tessera-weight", shared_plane_bytes(*desc));
  if (!planes.ok()) {
    return fail_call(err, TSR_RESOURCE_EXHAUSTED, TSR_RETRY_SMALLER,
                     planes.status().message());
  }
  copy_planes(*desc, planes->data());
  RemoteCall call = remote_call(device, CallId::kWeightCreate);
  call.arguments().put(weight);
  call.arguments().put(buffer);
  call.arguments().put(offset);
  call.arguments().put(planes->bytes());
  call.arguments().put_fd(planes->fd());
  put_weight_desc(call.arguments(), *desc);
  return call.run(err);
}

template <CallId Id>
void destroy(tsr_device* handle, uint64_t object) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, Id);
  call.arguments().put(object);
  call.run(nullptr);
}

tsr_status query_kv(tsr_device* handle, const tsr_kv_desc* desc, tsr_error* err,
                    tsr_kv_info* out_info) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kKvQuery);
  put_kv_desc(call.arguments(), *desc);
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  auto info = call.results().get<tsr_kv_info>();
  info.memory_kind = device.private_kind(info.memory_kind);
  sdk::detail::copy_out(info, out_info);
  return TSR_OK;
}

tsr_status create_kv(tsr_device* handle, uint64_t pool, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kKvCreate);
  call.arguments().put(pool);
  put_kv_desc(call.arguments(), *desc);
  call.arguments().put(buffer);
  call.arguments().put(offset);
  return call.run(err);
}

}  // namespace

void fill_remote_weights(tsr_api& api) {
  api.weight_query = query_weight;
  api.packing_begin = begin_packing;
  api.packing_slice = pack_slice;
  api.packing_end = end_packing;
  api.weight_create = create_weight;
  api.weight_destroy = destroy<CallId::kWeightDestroy>;
  api.kv_query = query_kv;
  api.kv_create = create_kv;
  api.kv_destroy = destroy<CallId::kKvDestroy>;
}

}  // namespace tessera
