// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/queue.hpp"

#include <utility>

#include "framework/host/device/device.hpp"
#include "framework/host/device/plugin_error.hpp"

namespace tessera {

Queue::Queue(std::shared_ptr<Device> device, tsr_queue* handle)
    : device_(std::move(device)), handle_(handle) {}

Queue::Queue(Queue&& other) noexcept
    : device_(std::move(other.device_)),
      handle_(std::exchange(other.handle_, nullptr)) {}

Queue& Queue::operator=(Queue&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  return *this;
}

Queue::~Queue() {
  if (device_ != nullptr) device_->api().queue_destroy(handle_);
}

Status Queue::submit(const tsr_submission& submission) {
  ErrorSlot error;
  const tsr_status code =
      device_->api().queue_submit(handle_, &submission, &error);
  if (code == TSR_OK) return {};
  return device_->from_plugin(code, error, "queue_submit");
}

}  // namespace tessera
