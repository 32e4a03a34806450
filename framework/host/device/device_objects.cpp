// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/device_objects.hpp"

#include <atomic>
#include <utility>

#include "framework/host/device/device.hpp"
#include "framework/host/device/plugin_error.hpp"

namespace tessera {

uint64_t next_host_id() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

DeviceObject::DeviceObject(std::shared_ptr<Device> device, uint64_t id,
                           Destroy destroy)
    : device_(std::move(device)), id_(id), destroy_(destroy) {}

DeviceObject::DeviceObject(DeviceObject&& other) noexcept
    : device_(std::move(other.device_)),
      id_(std::exchange(other.id_, 0)),
      destroy_(other.destroy_) {}

DeviceObject& DeviceObject::operator=(DeviceObject&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(id_, other.id_);
  std::swap(destroy_, other.destroy_);
  return *this;
}

DeviceObject::~DeviceObject() {
  if (device_ != nullptr) (device_->api().*destroy_)(device_->handle(), id_);
}

Result<void*> Buffer::map() {
  Device& device = object_.device();
  void* memory = nullptr;
  ErrorSlot error;
  const tsr_status code =
      device.api().buffer_map(device.handle(), id(), &error, &memory);
  TSR_RETURN_IF_ERROR(device.from_plugin(code, error, "buffer_map"));
  return memory;
}

Status Buffer::flush(uint64_t offset, uint64_t bytes) {
  if (coherent_) return {};
  Device& device = object_.device();
  ErrorSlot error;
  const tsr_status code =
      device.api().buffer_flush(device.handle(), id(), offset, bytes, &error);
  return device.from_plugin(code, error, "buffer_flush");
}

Status Buffer::invalidate(uint64_t offset, uint64_t bytes) {
  if (coherent_) return {};
  Device& device = object_.device();
  ErrorSlot error;
  const tsr_status code = device.api().buffer_invalidate(device.handle(), id(),
                                                         offset, bytes, &error);
  return device.from_plugin(code, error, "buffer_invalidate");
}

Result<std::vector<tsr_segment>> Program::segments() const {
  Device& device = object_.device();
  std::vector<tsr_segment> segments;
  for (uint32_t i = 0; i < info_.num_segments; ++i) {
    tsr_segment segment{};
    segment.struct_size = sizeof(segment);
    ErrorSlot error;
    const tsr_status code = device.api().program_segment(device.handle(), id(),
                                                         i, &error, &segment);
    TSR_RETURN_IF_ERROR(device.from_plugin(code, error, "program_segment"));
    segment.kernel[sizeof(segment.kernel) - 1] = '\0';
    segments.push_back(segment);
  }
  return segments;
}

}  // namespace tessera
