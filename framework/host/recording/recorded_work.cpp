// SPDX-License-Identifier: Apache-2.0
//
// Devices, programs and queues of a recorded plugin.

#include <algorithm>
#include <exception>
#include <utility>

#include "framework/host/device/timeline.hpp"
#include "framework/host/recording/recorded_call.hpp"
#include "framework/host/recording/recorded_tables.hpp"
#include "framework/host/remote/wire_question.hpp"
#include "tessera/record.hpp"

namespace tessera::recording {
namespace {

// Work that takes longer is recorded without what it wrote.
constexpr uint64_t kSettleNs = 60'000'000'000;

template <typename Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return {reinterpret_cast<const std::byte*>(&record), record.record_bytes};
}

void device_close(tsr_device* device) {
  RecordedCall call(device, Call::kDeviceClose);
  const auto close = call.api().device_close;
  call.run(
      [&](tsr_error*) {
        close(device);
        return tsr_status{TSR_OK};
      },
      nullptr);
  state().devices.erase(device);
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  RecordedCall call(device, Call::kCheck);
  put_question(call.arguments(), *program, weights, kv_pools);
  call.arguments().put(uint64_t{capacity});
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().check(device, program, weights, kv_pools, e, out,
                                capacity, stride, out_count);
      },
      err);
  const bool answered = status == TSR_OK || status == TSR_UNIMPLEMENTED;
  call.results().put(uint64_t{answered ? *out_count : 0});
  return status;
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status estimate(tsr_device* device, const tsr_program_desc* program,
                    const tsr_array* weights, const tsr_array* kv_pools,
                    const tsr_step_shape* step, tsr_error* err,
                    tsr_estimate* out) {
  RecordedCall call(device, Call::kEstimate);
  put_question(call.arguments(), *program, weights, kv_pools);
  call.arguments().put(
      sdk::read_struct<tsr_step_shape>(step, step->struct_size));
  return call.run(
      [&](tsr_error* e) {
        return call.api().estimate(device, program, weights, kv_pools, step, e,
                                   out);
      },
      err);
}

tsr_status device_last_error(tsr_device* device, tsr_error* out) {
  RecordedCall call(device, Call::kDeviceLastError);
  return call.run(
      [&](tsr_error* e) { return call.api().device_last_error(device, e); },
      out);
}

tsr_status device_ask(tsr_device* device, tsr_ask* ask, tsr_error* err) {
  RecordedCall call(device, Call::kDeviceAsk);
  call.arguments().put_text(ask->extension);
  call.arguments().put_bytes(
      {static_cast<const std::byte*>(ask->request), ask->request_bytes});
  call.arguments().put(ask->capacity);
  const tsr_status status = call.run(
      [&](tsr_error* e) { return call.api().device_ask(device, ask, e); }, err);
  if (status == TSR_OK) {
    call.results().put_bytes({static_cast<const std::byte*>(ask->reply),
                              std::min(ask->reply_bytes, ask->capacity)});
  }
  return status;
}

tsr_status program_create(tsr_device* device, const tsr_program_desc* program,
                          tsr_error* err, tsr_program_info* out) {
  RecordedCall call(device, Call::kProgramCreate);
  call.arguments().put_bytes(bytes_of(*program));
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().program_create(device, program, e, out);
      },
      err);
  if (status == TSR_OK) {
    call.results().put(
        sdk::read_struct<tsr_program_info>(out, out->struct_size));
  }
  return status;
}

tsr_status program_segment(tsr_device* device, uint64_t program, uint32_t index,
                           tsr_error* err, tsr_segment* out) {
  RecordedCall call(device, Call::kProgramSegment);
  call.arguments().put(program);
  call.arguments().put(uint64_t{index});
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().program_segment(device, program, index, e, out);
      },
      err);
  if (status == TSR_OK) {
    call.results().put(sdk::read_struct<tsr_segment>(out, out->struct_size));
  }
  return status;
}

void forget_timeline(DeviceState& device, uint64_t id) {
  device.timelines.erase(id);
}

tsr_status timeline_import(tsr_device* device, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err) {
  RecordedCall call(device, Call::kTimelineImport);
  call.arguments().put(id);
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().timeline_import(device, id, timeline, e);
      },
      err);
  if (status == TSR_OK) call.device().timelines[id] = timeline;
  return status;
}

tsr_status queue_create(tsr_device* device, tsr_error* err, tsr_queue** out) {
  RecordedCall call(device, Call::kQueueCreate);
  const tsr_status status = call.run(
      [&](tsr_error* e) { return call.api().queue_create(device, e, out); },
      err);
  if (status != TSR_OK) return status;
  const uint64_t ordinal = state().next_ordinal++;
  state().queues[*out] = {device, ordinal};
  call.results().put(ordinal);
  return status;
}

// The device's cells of the points; one that is not known is left out.
std::vector<std::pair<tsr_timeline*, uint64_t>> cells_of(
    const DeviceState& device, const sdk::Elements<tsr_point>& points) {
  std::vector<std::pair<tsr_timeline*, uint64_t>> cells;
  for (uint32_t i = 0; i < points.size(); ++i) {
    const auto found = device.timelines.find(points[i].timeline);
    if (found == device.timelines.end()) continue;
    cells.emplace_back(found->second, points[i].value);
  }
  return cells;
}

// How the work ended; not settled: it waits for what the host has yet to do, or
// is no work at all.
struct Settled {
  uint64_t settled = 0;
  int64_t status = TSR_OK;
};

// What a submission waits for and signals, on its device.
struct Points {
  std::vector<std::pair<tsr_timeline*, uint64_t>> waits;
  std::vector<std::pair<tsr_timeline*, uint64_t>> signals;
};

Points points_of(const DeviceState& device, const tsr_submission* work) {
  try {  // the edge where the SDK's exceptions end
    const sdk::SubmissionView view(work);
    return {cells_of(device, view.waits()), cells_of(device, view.signals())};
  } catch (const std::exception&) {
    return {};  // malformed: the plugin's to refuse
  }
}

Settled settle(const Points& points) {
  if (points.signals.empty()) return {};
  for (const auto& [cell, value] : points.waits) {
    if (wait_timeline(*cell, value, 0) == TSR_DEADLINE_EXCEEDED) return {};
  }
  Settled result{1, TSR_OK};
  for (const auto& [cell, value] : points.signals) {
    const tsr_status status = wait_timeline(*cell, value, kSettleNs);
    if (status == TSR_DEADLINE_EXCEEDED) return {};
    if (result.status == TSR_OK) result.status = status;
  }
  return result;
}

void invalidate(tsr_device* device, const tsr_api& api,
                const DeviceState& known) {
  for (const auto& [id, buffer] : known.visible) {
    if (buffer.coherent) continue;
    ErrorSlot ignored;
    api.buffer_invalidate(device, id, 0, buffer.known.size(), &ignored);
  }
}

tsr_status queue_submit(tsr_queue* queue, const tsr_submission* work,
                        tsr_error* err) {
  const std::lock_guard<std::mutex> one_at_a_time(state().submission);
  ObjectState object;
  {
    const std::lock_guard<std::mutex> lock(state().mutex);
    object = state().queues[queue];
  }
  RecordedCall call(object.device, Call::kQueueSubmit);
  append_contents(call.device(), call.number(), kBefore);
  call.arguments().put(object.ordinal);
  call.arguments().put_bytes(bytes_of(*work));
  const bool is_recording = state().file != nullptr;
  const Points points = points_of(call.device(), work);
  Settled settled;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        const tsr_status code = call.api().queue_submit(queue, work, e);
        if (code == TSR_OK && is_recording) settled = settle(points);
        return code;
      },
      err);
  call.results().put(settled);
  if (settled.settled != 0) {
    invalidate(object.device, call.api(), call.device());
    append_contents(call.device(), call.number(), kAfter);
  }
  return status;
}

void queue_destroy(tsr_queue* queue) {
  ObjectState object;
  {
    const std::lock_guard<std::mutex> lock(state().mutex);
    object = state().queues[queue];
    state().queues.erase(queue);
  }
  RecordedCall call(object.device, Call::kQueueDestroy);
  call.arguments().put(object.ordinal);
  call.run(
      [&](tsr_error*) {
        call.api().queue_destroy(queue);
        return tsr_status{TSR_OK};
      },
      nullptr);
}

// What was measured differs from run to run; only how much there was counts.
tsr_status profile_read(tsr_device* device, tsr_error* err,
                        tsr_kernel_record* out, uint32_t capacity,
                        uint32_t stride, uint32_t* out_count) {
  RecordedCall call(device, Call::kProfileRead);
  call.arguments().put(uint64_t{capacity});
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return call.api().profile_read(device, e, out, capacity, stride,
                                       out_count);
      },
      err);
  if (status == TSR_OK) call.results().put(uint64_t{*out_count});
  return status;
}

}  // namespace

void fill_recorded_work(tsr_api& api) {
  api.device_close = device_close;
  api.check = check;
  api.estimate = estimate;
  api.program_create = program_create;
  api.program_segment = program_segment;
  api.program_destroy =
      destroy<Call::kProgramDestroy, &tsr_api::program_destroy, forget_nothing>;
  api.timeline_import = timeline_import;
  api.timeline_forget = destroy<Call::kTimelineForget,
                                &tsr_api::timeline_forget, forget_timeline>;
  api.queue_create = queue_create;
  api.queue_submit = queue_submit;
  api.queue_destroy = queue_destroy;
  api.profile_read = profile_read;
  api.device_last_error = device_last_error;
  api.device_ask = device_ask;
}

}  // namespace tessera::recording
