// SPDX-License-Identifier: Apache-2.0

#include "framework/host/validation/validation.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstring>

#include "framework/host/validation/checked_call.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

using validation::CheckedCall;
using validation::kBuffer;
using validation::kMaxPlugins;
using validation::kNumKinds;
using validation::kPool;
using validation::kProgram;
using validation::kTimeline;
using validation::kWeight;
using validation::state;
using validation::violation;

// ---- What is asked of an open device

void device_close(tsr_device* device) {
  CheckedCall call(device, "device_close");
  for (size_t kind = 0; kind < kNumKinds; ++kind) {
    const size_t left = call.here().alive[kind].size();
    if (left != 0) call.host(fmt::format("{} objects still exist", left));
  }
  if (call.here().num_queues != 0) call.host("queues still exist");
  if (call.here().num_packings != 0) call.host("packings have not ended");
  const auto close = call.api().device_close;
  state().devices.erase(device);
  call.unlock();
  close(device);
}

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

// ---- Buffers

tsr_status buffer_create(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  CheckedCall call(device, "buffer_create");
  call.creates(kBuffer, desc->id);
  const auto function = call.api().buffer_create;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, desc, e); }, err);
  call.made(kBuffer, desc->id, status);
  if (status == TSR_OK) call.here().buffer_bytes[desc->id] = desc->bytes;
  return status;
}

tsr_status buffer_import(tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t type, uint64_t handle, tsr_error* err) {
  CheckedCall call(device, "buffer_import");
  call.creates(kBuffer, desc->id);
  const auto function = call.api().buffer_import;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, desc, type, handle, e); },
      err);
  call.made(kBuffer, desc->id, status);
  if (status == TSR_OK) call.here().buffer_bytes[desc->id] = desc->bytes;
  return status;
}

tsr_status buffer_map(tsr_device* device, uint64_t id, tsr_error* err,
                      void** out) {
  CheckedCall call(device, "buffer_map");
  call.needs(kBuffer, id);
  const auto function = call.api().buffer_map;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(device, id, e, out); }, err);
  if (status == TSR_OK && *out == nullptr) call.plugin("maps to NULL");
  return status;
}

void buffer_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "buffer_destroy");
  call.gone(kBuffer, id);
  call.here().buffer_bytes.erase(id);
  const auto function = call.api().buffer_destroy;
  call.unlock();
  function(device, id);
}

// ---- Weights and pools

tsr_status weight_query(tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out) {
  CheckedCall call(device, "weight_query");
  const auto function = call.api().weight_query;
  const uint32_t size = out->struct_size;
  const tsr_status status = call.run(
      [&](tsr_error* e) { return function(device, desc, e, out); }, err);
  if (out->struct_size > size) call.plugin("struct_size grew");
  if (status != TSR_OK || size < sizeof(*out)) return status;
  if ((out->alignment & (out->alignment - 1)) != 0) {
    call.plugin(fmt::format("alignment {}", out->alignment));
  }
  return status;
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err, tsr_packing** out) {
  CheckedCall call(device, "packing_begin");
  call.creates(kWeight, id);
  call.needs(kBuffer, buffer);
  const auto function = call.api().packing_begin;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e, out);
      },
      err);
  if (status != TSR_OK) return status;
  if (*out == nullptr) call.plugin("says OK, and begins nothing");
  state().packings[*out] = {device, id};
  ++call.here().num_packings;
  return status;
}

tsr_status packing_end(tsr_packing* packing, uint32_t commit, tsr_error* err) {
  std::pair<tsr_device*, uint64_t> begun;
  {
    const std::lock_guard<std::mutex> lock(state().mutex);
    begun = state().packings[packing];
    state().packings.erase(packing);
  }
  CheckedCall call(begun.first, "packing_end");
  --call.here().num_packings;
  const auto function = call.api().packing_end;
  const tsr_status status =
      call.run([&](tsr_error* e) { return function(packing, commit, e); }, err);
  if (commit != 0) call.made(kWeight, begun.second, status);
  return status;
}

tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  CheckedCall call(device, "weight_create");
  call.creates(kWeight, id);
  if (buffer != 0) call.needs(kBuffer, buffer);
  const auto function = call.api().weight_create;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e);
      },
      err);
  call.made(kWeight, id, status);
  return status;
}

void weight_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "weight_destroy");
  call.gone(kWeight, id);
  const auto function = call.api().weight_destroy;
  call.unlock();
  function(device, id);
}

tsr_status kv_create(tsr_device* device, uint64_t id, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
  CheckedCall call(device, "kv_create");
  call.creates(kPool, id);
  call.needs(kBuffer, buffer);
  const auto function = call.api().kv_create;
  const tsr_status status = call.run(
      [&](tsr_error* e) {
        return function(device, id, desc, buffer, offset, e);
      },
      err);
  call.made(kPool, id, status);
  return status;
}

void kv_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "kv_destroy");
  call.gone(kPool, id);
  const auto function = call.api().kv_destroy;
  call.unlock();
  function(device, id);
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
  if (status == TSR_OK && out->num_segments > program->ops.count) {
    call.plugin(fmt::format("{} segments of {} ops", out->num_segments,
                            program->ops.count));
  }
  return status;
}

void program_destroy(tsr_device* device, uint64_t id) {
  CheckedCall call(device, "program_destroy");
  call.gone(kProgram, id);
  const auto function = call.api().program_destroy;
  call.unlock();
  function(device, id);
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

// ---- Opening: the one call that does not name a device needs a function for
// each plugin.

template <size_t Slot>
tsr_status open_device(uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out) {
  const tsr_status status =
      state().api[Slot].device_open(index, options, err, out);
  if (status != TSR_OK) return status;
  const std::lock_guard<std::mutex> lock(state().mutex);
  if (*out == nullptr) {
    violation(Slot, "plugin", "device_open", "says OK, and opens nothing");
  }
  state().devices[*out].slot = Slot;
  return status;
}

template <size_t... Slots>
constexpr auto open_functions(std::index_sequence<Slots...>) {
  return std::array<decltype(tsr_api::device_open), sizeof...(Slots)>{
      open_device<Slots>...};
}

}  // namespace

bool is_validating() {
  const char* value = secure_getenv("TESSERA_VALIDATE");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

tsr_api validated(const tsr_api& api, const std::string& plugin) {
  static constexpr auto kOpen =
      open_functions(std::make_index_sequence<kMaxPlugins>());
  const std::lock_guard<std::mutex> lock(state().mutex);
  if (state().num_plugins == kMaxPlugins) return api;
  const size_t slot = state().num_plugins++;
  state().api[slot] = api;
  state().names[slot] = plugin;
  tsr_api checked = api;
  checked.device_open = kOpen[slot];
  checked.device_close = device_close;
  checked.check = check;
  checked.estimate = estimate;
  checked.buffer_create = buffer_create;
  checked.buffer_import = buffer_import;
  checked.buffer_map = buffer_map;
  checked.buffer_destroy = buffer_destroy;
  checked.weight_query = weight_query;
  checked.packing_begin = packing_begin;
  checked.packing_end = packing_end;
  checked.weight_create = weight_create;
  checked.weight_destroy = weight_destroy;
  checked.kv_create = kv_create;
  checked.kv_destroy = kv_destroy;
  checked.program_create = program_create;
  checked.program_destroy = program_destroy;
  checked.timeline_import = timeline_import;
  checked.timeline_forget = timeline_forget;
  checked.queue_create = queue_create;
  checked.queue_submit = queue_submit;
  checked.queue_destroy = queue_destroy;
  return checked;
}

uint64_t num_violations() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  return state().num_violations;
}

}  // namespace tessera
