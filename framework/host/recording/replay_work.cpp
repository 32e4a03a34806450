// SPDX-License-Identifier: Apache-2.0
//
// Devices, programs and queues of a replay.

#include <algorithm>
#include <span>

#include "framework/host/device/plugin_error.hpp"
#include "framework/host/recording/replayer.hpp"
#include "framework/host/remote/wire_question.hpp"

namespace tessera::recording {
namespace {

template <typename Record>
const Record* record_in(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Record)) return nullptr;
  const auto* record = reinterpret_cast<const Record*>(bytes.data());
  return record->record_bytes == bytes.size() ? record : nullptr;
}

// Those that are mapped.  A plugin that need not be told says that it cannot.
void sync_visible(const ReplayedDevice& device,
                  decltype(tsr_api::buffer_flush) function) {
  for (const auto& [id, buffer] : device.buffers) {
    if (buffer.memory == nullptr) continue;
    ErrorSlot ignored;
    function(device.handle, id, 0, buffer.bytes, &ignored);
  }
}

}  // namespace

tsr_status Replayer::device_open(tsr_error* err) {
  const uint32_t index = get_u32();
  WireOptions options;
  get_options(arguments_, options);
  if (!arguments_.ok()) return cut_short();
  const tsr_array array = options.array();
  tsr_device* device = nullptr;
  skips_results_ = true;
  const tsr_status status = api_.device_open(index, &array, err, &device);
  if (status == TSR_OK) devices_[recorded_ordinal()].handle = device;
  return status;
}

tsr_status Replayer::device_close(tsr_error* /*err*/) {
  const auto ordinal = arguments_.get<uint64_t>();
  const auto found = devices_.find(ordinal);
  if (found == devices_.end()) return cannot("there is no such device");
  close(found->second);
  devices_.erase(found);
  return TSR_OK;
}

void Replayer::close(const ReplayedDevice& device) {
  std::erase_if(queues_, [&](const auto& entry) {
    const auto& [of, queue] = entry.second;
    if (of != &device) return false;
    api_.queue_destroy(static_cast<tsr_queue*>(queue));
    return true;
  });
  std::erase_if(packings_, [&](const auto& entry) {
    const auto& [of, packing] = entry.second;
    if (of != &device) return false;
    ErrorSlot ignored;
    api_.packing_end(static_cast<tsr_packing*>(packing), /*commit=*/0,
                     &ignored);
    return true;
  });
  api_.device_close(device.handle);
}

Replayer::~Replayer() {
  for (const auto& [ordinal, device] : devices_) close(device);
}

tsr_status Replayer::check(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  Question question;
  if (!get_question(arguments_, question)) return cut_short();
  const uint32_t capacity = get_capacity();
  std::vector<tsr_refusal> refusals(capacity);
  for (tsr_refusal& one : refusals) one.struct_size = sizeof(one);
  const tsr_array weights = question.weight_array();
  const tsr_array pools = question.kv_array();
  uint32_t count = 0;
  const tsr_status status =
      api_.check(device->handle, question.program, &weights, &pools, err,
                 refusals.data(), capacity, sizeof(tsr_refusal), &count);
  outputs_.put(uint64_t{count});
  return status;
}

// A measured estimate differs from run to run.
tsr_status Replayer::estimate(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  Question question;
  if (!get_question(arguments_, question)) return cut_short();
  auto step = arguments_.get<tsr_step_shape>();
  step.struct_size = sizeof(step);
  const tsr_array weights = question.weight_array();
  const tsr_array pools = question.kv_array();
  tsr_estimate out{};
  out.struct_size = sizeof(out);
  skips_results_ = true;
  return api_.estimate(device->handle, question.program, &weights, &pools,
                       &step, err, &out);
}

tsr_status Replayer::device_last_error(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  return api_.device_last_error(device->handle, err);
}

tsr_status Replayer::device_ask(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const std::string extension = arguments_.get_text();
  const std::string request = arguments_.get_text();
  const auto capacity = arguments_.get<uint64_t>();
  const HostMemory reply(capacity);
  if (reply.get() == nullptr || !arguments_.ok()) return cut_short();
  tsr_ask ask{};
  ask.struct_size = sizeof(ask);
  ask.extension = extension.c_str();
  ask.request = request.data();
  ask.request_bytes = request.size();
  ask.reply = reply.get();
  ask.capacity = capacity;
  const tsr_status status = api_.device_ask(device->handle, &ask, err);
  if (status == TSR_OK) {
    outputs_.put_bytes({reply.get(), std::min(ask.reply_bytes, capacity)});
  }
  return status;
}

tsr_status Replayer::program_create(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto* program = record_in<tsr_program_desc>(arguments_.get_bytes());
  if (program == nullptr) return cut_short();
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  const tsr_status status =
      api_.program_create(device->handle, program, err, &info);
  outputs_.put(info);
  return status;
}

tsr_status Replayer::program_segment(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto program = arguments_.get<uint64_t>();
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  const tsr_status status =
      api_.program_segment(device->handle, program, get_u32(), err, &segment);
  outputs_.put(segment);
  return status;
}

tsr_status Replayer::timeline_import(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  auto timeline = std::make_unique<ReplayedTimeline>();
  const tsr_status status =
      api_.timeline_import(device->handle, id, &timeline->cell, err);
  if (status == TSR_OK) device->timelines[id] = std::move(timeline);
  return status;
}

tsr_status Replayer::timeline_forget(tsr_error* /*err*/) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const auto id = arguments_.get<uint64_t>();
  api_.timeline_forget(device->handle, id);
  device->timelines.erase(id);
  return TSR_OK;
}

tsr_status Replayer::queue_create(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  tsr_queue* queue = nullptr;
  skips_results_ = true;
  const tsr_status status = api_.queue_create(device->handle, err, &queue);
  if (status == TSR_OK) queues_[recorded_ordinal()] = {device, queue};
  return status;
}

tsr_status Replayer::queue_submit(tsr_error* err) {
  const ReplayedObject* queue = get_object(queues_, "queue");
  if (queue == nullptr) return TSR_OK;
  const auto* work = record_in<tsr_submission>(arguments_.get_bytes());
  if (work == nullptr) return cut_short();
  ReplayedDevice& device = *queue->device;
  sync_visible(device, api_.buffer_flush);
  const std::vector<Point> signals = reach_waits(device, work);
  const tsr_status status =
      api_.queue_submit(static_cast<tsr_queue*>(queue->handle), work, err);
  skips_results_ = true;
  if (status != TSR_OK) return status;
  settle(device, signals);
  sync_visible(device, api_.buffer_invalidate);
  return status;
}

tsr_status Replayer::queue_destroy(tsr_error* /*err*/) {
  const ReplayedObject* queue = get_object(queues_, "queue");
  if (queue == nullptr) return TSR_OK;
  api_.queue_destroy(static_cast<tsr_queue*>(queue->handle));
  std::erase_if(queues_,
                [queue](const auto& entry) { return &entry.second == queue; });
  return TSR_OK;
}

tsr_status Replayer::profile_read(tsr_error* err) {
  ReplayedDevice* device = get_device();
  if (device == nullptr) return TSR_OK;
  const uint32_t capacity = get_capacity();
  std::vector<tsr_kernel_record> records(capacity);
  for (tsr_kernel_record& one : records) one.struct_size = sizeof(one);
  uint32_t count = 0;
  const tsr_status status =
      api_.profile_read(device->handle, err, records.data(), capacity,
                        sizeof(tsr_kernel_record), &count);
  outputs_.put(uint64_t{count});
  return status;
}

tsr_status Replayer::program_destroy(tsr_error* /*err*/) {
  return destroy(api_.program_destroy);
}

}  // namespace tessera::recording
