// SPDX-License-Identifier: Apache-2.0
//
// The child's calls about weights and KV pools.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "framework/host/remote/child_server.hpp"
#include "framework/host/remote/wire_structs.hpp"

namespace tessera {

Status ChildServer::get_bulk() {
  const auto bytes = request_.get<uint64_t>();
  if (bytes == 0) return {};
  TSR_ASSIGN_OR_RETURN(bulk_, SharedMemory::map(request_.get_fd(), bytes));
  bulk_.close_fd();
  return {};
}

tsr_status ChildServer::weight_query(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  WireWeight weight;
  if (!get_weight_desc(request_, nullptr, 0, &weight))
    return fail_short_message(err);
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  const tsr_status code = api().weight_query(device, &weight.desc, err, &info);
  reply_.put(info);
  return code;
}

tsr_status ChildServer::packing_begin(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto id = request_.get<uint64_t>();
  const auto buffer = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  const Status bulk = get_bulk();
  if (!bulk.ok()) return fail_with(err, bulk);
  WireWeight weight;
  if (!get_weight_desc(request_, bulk_.data(), bulk_.bytes(), &weight)) {
    return fail_short_message(err);
  }
  // Slices will lie where the planes do, which the plugin may read until the
  // end.
  const uint64_t bytes =
      std::min(shared_plane_bytes(weight.desc), bulk_.bytes());
  std::vector<std::byte> kept(bulk_.data(), bulk_.data() + bytes);
  for (tsr_plane& plane : weight.planes) {
    if (plane.data == nullptr) continue;
    plane.data = kept.data() +
                 (static_cast<const std::byte*>(plane.data) - bulk_.data());
  }
  tsr_packing* packing = nullptr;
  const tsr_status code = api().packing_begin(device, id, &weight.desc, buffer,
                                              offset, err, &packing);
  if (code != TSR_OK) return code;
  small_planes_[packing] = std::move(kept);
  put_handle(packing);
  return code;
}

tsr_status ChildServer::packing_slice(tsr_error* err) {
  auto* packing = get_handle<tsr_packing>();
  const auto n_begin = static_cast<uint32_t>(request_.get<uint64_t>());
  const auto n_end = static_cast<uint32_t>(request_.get<uint64_t>());
  const Status bulk = get_bulk();
  if (!bulk.ok()) return fail_with(err, bulk);
  WireWeight slice;
  if (!get_weight_desc(request_, bulk_.data(), bulk_.bytes(), &slice)) {
    return fail_short_message(err);
  }
  return api().packing_slice(packing, n_begin, n_end, &slice.desc, err);
}

tsr_status ChildServer::packing_end(tsr_error* err) {
  auto* packing = get_handle<tsr_packing>();
  const auto commit = static_cast<uint32_t>(request_.get<uint64_t>());
  const tsr_status code = api().packing_end(packing, commit, err);
  small_planes_.erase(packing);
  return code;
}

tsr_status ChildServer::weight_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto id = request_.get<uint64_t>();
  const auto buffer = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  const auto bytes = request_.get<uint64_t>();
  Result<SharedMemory> planes = SharedMemory::map(request_.get_fd(), bytes);
  if (!planes.ok()) return fail_with(err, planes.status());
  planes->close_fd();
  WireWeight weight;
  if (!get_weight_desc(request_, planes->data(), planes->bytes(), &weight)) {
    return fail_short_message(err);
  }
  const tsr_status code =
      api().weight_create(device, id, &weight.desc, buffer, offset, err);
  if (code == TSR_OK) {
    weights_.insert_or_assign({device, id}, std::move(*planes));
  }
  return code;
}

tsr_status ChildServer::weight_destroy(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  const auto id = request_.get<uint64_t>();
  api().weight_destroy(device, id);
  weights_.erase({device, id});
  return TSR_OK;
}

tsr_status ChildServer::kv_query(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  WireExtensions nodes;
  const tsr_kv_desc desc = get_kv_desc(request_, nodes);
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  const tsr_status code = api().kv_query(device, &desc, err, &info);
  reply_.put(info);
  return code;
}

tsr_status ChildServer::kv_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto pool = request_.get<uint64_t>();
  WireExtensions nodes;
  const tsr_kv_desc desc = get_kv_desc(request_, nodes);
  const auto buffer = request_.get<uint64_t>();
  const auto offset = request_.get<uint64_t>();
  return api().kv_create(device, pool, &desc, buffer, offset, err);
}

tsr_status ChildServer::kv_destroy(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  api().kv_destroy(device, request_.get<uint64_t>());
  return TSR_OK;
}

}  // namespace tessera
