// SPDX-License-Identifier: Apache-2.0
//
// Questions, programs, timelines and queues of a checked table.

#include <fmt/format.h>

#include <cstring>

#include "framework/host/validation/checked_call.hpp"
#include "framework/host/validation/checked_tables.hpp"
#include "tessera/record.hpp"

namespace tessera::validation {
namespace {

// ---- Questions about a program

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  CheckedCall call(device, "check");
  const auto function = call.api().check;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, program, weights, kv_pools, e, out, capacity,
                        stride, out_count);
      },
      err);
  const bool answered = status == TSR_OK || status == TSR_UNIMPLEMENTED;
  if (status == TSR_OK && *out_count != 0) {
    call.plugin("says OK, and refuses");
  }
  if (!answered || stride < sizeof(tsr_refusal)) return status;
  for (uint32_t i = 0; i < *out_count && i < capacity; ++i) {
    tsr_refusal refusal{};
    std::memcpy(&refusal,
                reinterpret_cast<const char*>(out) + size_t{i} * stride,
                sizeof(refusal));
    if (refusal.reason == TSR_REFUSED_NOTHING) {
      call.plugin("a refusal without a reason");
    }
    if (std::memchr(refusal.message, 0, sizeof(refusal.message)) == nullptr ||
        std::memchr(refusal.field, 0, sizeof(refusal.field)) == nullptr) {
      call.plugin("a refusal whose text has no end");
    }
  }
  return status;
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status estimate(tsr_device* device, const tsr_program_desc* program,
                    const tsr_array* weights, const tsr_array* kv_pools,
                    const tsr_step_shape* step, tsr_error* err,
                    tsr_estimate* out) {
  CheckedCall call(device, "estimate");
  const auto function = call.api().estimate;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, program, weights, kv_pools, step, e, out);
      },
      err);
  if (status == TSR_OK && out->p90_ns < out->mean_ns / 2) {
    call.plugin("a 90th percentile below half of the mean");
  }
  return status;
}

// ---- Programs, timelines, queues

template <typename Element, typename Visit>
void each(const void* record, const tsr_slice& slice, const Visit& visit) {
  const sdk::Elements<Element> elements(
      static_cast<const char*>(record) + slice.offset, slice.count,
      slice.stride);
  for (uint32_t i = 0; i < elements.size(); ++i) visit(elements[i]);
}

tsr_status program_create(tsr_device* device, const tsr_program_desc* program,
                          tsr_error* err, tsr_program_info* out) {
  CheckedCall call(device, "program_create");
  call.creates(kProgram, program->id);
  each<uint64_t>(program, program->weights,
                 [&](uint64_t id) { call.needs(kWeight, id); });
  each<uint64_t>(program, program->kv_pools,
                 [&](uint64_t id) { call.needs(kPool, id); });
  each<tsr_binding>(program, program->bindings, [&](const tsr_binding& b) {
    call.needs(kBuffer, b.buffer);
  });
  const auto function = call.api().program_create;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, program, e, out); }, err);
  call.made(kProgram, program->id, status);
  if (status != TSR_OK) return status;
  call.here().programs[program->id] = {program->ops.count, out->num_segments};
  if (out->num_segments > program->ops.count) {
    call.plugin(fmt::format("{} segments of {} ops", out->num_segments,
                            program->ops.count));
  }
  return status;
}

tsr_status program_segment(tsr_device* device, uint64_t id, uint32_t index,
                           tsr_error* err, tsr_segment* out) {
  CheckedCall call(device, "program_segment");
  call.needs(kProgram, id);
  const ProgramShape shape = call.here().programs[id];
  if (index >= shape.num_segments) {
    call.host(fmt::format("segment {} of {}", index, shape.num_segments));
  }
  const auto function = call.api().program_segment;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, id, index, e, out); }, err);
  if (status != TSR_OK || out->struct_size < sizeof(*out)) return status;
  const uint64_t end = uint64_t{out->first_op} + out->num_ops;
  if (out->num_ops == 0 || end > shape.num_ops) {
    call.plugin(fmt::format("a segment of {} ops from {} of {}", out->num_ops,
                            out->first_op, shape.num_ops));
  }
  if (std::memchr(out->kernel, 0, sizeof(out->kernel)) == nullptr) {
    call.plugin("a kernel's name without an end");
  }
  return status;
}

void program_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "program_destroy");
  call.here().programs.erase(id);
  call.destroys(kProgram, id, device, call.api().program_destroy);
}

tsr_status timeline_import(tsr_device* device, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err) {
  CheckedCall call(device, "timeline_import");
  call.creates(kTimeline, id);
  const auto function = call.api().timeline_import;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, id, timeline, e); }, err);
  call.made(kTimeline, id, status);
  return status;
}

void timeline_forget(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "timeline_forget");
  call.gone(kTimeline, id);
  const auto function = call.api().timeline_forget;
  call.unlock();
  function(device, id);
}

tsr_status queue_create(tsr_device* device, tsr_error* err, tsr_queue** out) {
  CheckedCall call(device, "queue_create");
  const auto function = call.api().queue_create;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, e, out); }, err);
  if (status != TSR_OK) return status;
  if (*out == nullptr) call.plugin("says OK, and creates nothing");
  state().queues[*out] = device;
  ++call.here().num_queues;
  return status;
}

tsr_device* device_of(tsr_queue* queue) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  const auto found = state().queues.find(queue);
  return found == state().queues.end() ? nullptr : found->second;
}

void check_submission(CheckedCall& call, const tsr_submission& work) {
  for (const tsr_slice& points : {work.waits, work.signals}) {
    each<tsr_point>(&work, points, [&](const tsr_point& point) {
      call.needs(kTimeline, point.timeline);
    });
  }
  if (work.kind == TSR_SUBMIT_PROGRAM) call.needs(kProgram, work.program);
  each<tsr_binding>(&work, work.bindings, [&](const tsr_binding& binding) {
    call.needs(kBuffer, binding.buffer);
    const auto found = call.here().buffer_bytes.find(binding.buffer);
    if (found != call.here().buffer_bytes.end() &&
        binding.offset >= found->second && found->second != 0) {
      call.host(fmt::format("tensor {} is bound past the end of its buffer",
                            binding.tensor));
    }
  });
}

tsr_status queue_submit(tsr_queue* queue, const tsr_submission* work,
                        tsr_error* err) {
  CheckedCall call(device_of(queue), "queue_submit");
  check_submission(call, *work);
  const auto function = call.api().queue_submit;
  return call.run([&](tsr_error* e) { return function(queue, work, e); }, err);
}

void queue_destroy(tsr_queue* queue) {
  CheckedCall call(device_of(queue), "queue_destroy");
  state().queues.erase(queue);
  if (call.here().num_queues > 0) --call.here().num_queues;
  const auto function = call.api().queue_destroy;
  call.unlock();
  function(queue);
}

// ---- What happened

tsr_status profile_read(tsr_device* device, tsr_error* err,
                        tsr_kernel_record* out, uint32_t capacity,
                        uint32_t stride, uint32_t* out_count) {
  CheckedCall call(device, "profile_read");
  const auto function = call.api().profile_read;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, e, out, capacity, stride, out_count);
      },
      err);
  if (status == TSR_OK && *out_count > capacity) {
    call.plugin(fmt::format("{} records where there is room for {}", *out_count,
                            capacity));
  }
  return status;
}

tsr_status device_last_error(tsr_device* device, tsr_error* out) {
  CheckedCall call(device, "device_last_error");
  const auto function = call.api().device_last_error;
  return call.run([&](tsr_error* e) { return function(device, e); }, out);
}

tsr_status device_ask(tsr_device* device, tsr_ask* ask, tsr_error* err) {
  CheckedCall call(device, "device_ask");
  if (ask->extension == nullptr) call.host("asks no extension");
  const auto function = call.api().device_ask;
  const uint32_t size = ask->struct_size;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, ask, e); }, err);
  if (ask->struct_size != size) call.plugin("changed struct_size of tsr_ask");
  return status;
}

}  // namespace

void check_work(tsr_api& api) {
  api.check = check;
  api.estimate = estimate;
  api.program_create = program_create;
  api.program_segment = program_segment;
  api.program_destroy = program_destroy;
  api.timeline_import = timeline_import;
  api.timeline_forget = timeline_forget;
  api.queue_create = queue_create;
  api.queue_submit = queue_submit;
  api.queue_destroy = queue_destroy;
  api.profile_read = profile_read;
  api.device_last_error = device_last_error;
  api.device_ask = device_ask;
}

}  // namespace tessera::validation
