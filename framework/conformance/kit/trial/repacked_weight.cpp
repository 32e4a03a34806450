// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/repacked_weight.hpp"

#include <algorithm>
#include <vector>

#include "framework/conformance/kit/trial/op_run.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "tessera/record.hpp"

namespace tessera::conformance {
namespace {

// Copies are made in whole words.
constexpr uint64_t kWord = 4;

// Packs all rows at once into the start of `buffer`.
Status pack(const std::shared_ptr<Device>& device, const tsr_weight_desc& desc,
            uint64_t id, const Buffer& buffer) {
  const tsr_api& api = device->api();
  ErrorSlot error;
  tsr_packing* packing = nullptr;
  tsr_status code = api.packing_begin(device->handle(), id, &desc, buffer.id(),
                                      0, &error, &packing);
  TSR_RETURN_IF_ERROR(device->from_plugin(code, error, "packing_begin"));
  code = api.packing_slice(packing, 0, desc.N, &desc, &error);
  const Status packed = device->from_plugin(code, error, "packing_slice");
  code = api.packing_end(packing, packed.ok() ? 1 : 0, &error);
  TSR_RETURN_IF_ERROR(packed);
  return device->from_plugin(code, error, "packing_end");
}

Status copy(const std::shared_ptr<Device>& device, const Buffer& src,
            const Buffer& dst, uint64_t dst_offset) {
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  SubmissionBuilder work(TSR_SUBMIT_COPY);
  work.record().src = src.id();
  work.record().dst = dst.id();
  work.record().dst_offset = dst_offset;
  work.record().bytes = src.bytes();
  work.add_signal({id, 1});
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  return timeline.wait(1, kPatienceNs).annotate("copy of a packed weight");
}

// The planes that come with weight_create: all but those of every row.
std::vector<tsr_plane> small_planes(const tsr_weight_desc& desc) {
  std::vector<tsr_plane> planes = sdk::Elements<tsr_plane>(desc.planes).all();
  for (tsr_plane& plane : planes) {
    plane.struct_size = sizeof(plane);
    const bool is_large =
        plane.role == TSR_PLANE_CODES || plane.role == TSR_PLANE_SCALE ||
        plane.role == TSR_PLANE_ZERO_POINT || plane.role == TSR_PLANE_MIN;
    if (is_large) plane.data = nullptr;
  }
  return planes;
}

}  // namespace

Result<RepackedWeight> RepackedWeight::make(
    const std::shared_ptr<Device>& device, const tsr_weight_desc& desc) {
  TSR_ASSIGN_OR_RETURN(const tsr_packed_info info, device->query_weight(desc));
  if (info.bytes == 0 || info.keeps_raw != 0) {
    return Status(TSR_UNAVAILABLE, "weights are read where their planes lie");
  }
  const uint64_t bytes = (info.bytes + kWord - 1) / kWord * kWord;
  const uint64_t offset = std::max<uint64_t>(info.alignment, kWord);
  RepackedWeight result;
  TSR_ASSIGN_OR_RETURN(result.buffer_,
                       device->create_buffer(offset + bytes, info.memory_kind));
  {
    TSR_ASSIGN_OR_RETURN(Buffer first,
                         device->create_buffer(bytes, info.memory_kind));
    const uint64_t id = next_host_id();
    TSR_RETURN_IF_ERROR(pack(device, desc, id, first));
    const DeviceObject packed(device, id, &tsr_api::weight_destroy);
    TSR_RETURN_IF_ERROR(copy(device, first, result.buffer_, offset));
  }
  const std::vector<tsr_plane> planes = small_planes(desc);
  tsr_weight_desc again = desc;
  again.planes = {planes.data(), static_cast<uint32_t>(planes.size()),
                  sizeof(tsr_plane)};
  const uint64_t id = next_host_id();
  ErrorSlot error;
  const tsr_status code = device->api().weight_create(
      device->handle(), id, &again, result.buffer_.id(), offset, &error);
  TSR_RETURN_IF_ERROR(device->from_plugin(
      code, error, "weight_create from bytes that were packed before"));
  result.object_ = DeviceObject(device, id, &tsr_api::weight_destroy);
  return result;
}

}  // namespace tessera::conformance
