// SPDX-License-Identifier: Apache-2.0
//
// Programs and queues of a plugin in a child.  Records cross as they are: they
// hold no pointers.

#include <algorithm>
#include <utility>

#include "framework/host/remote/remote_plugin.hpp"
#include "framework/host/remote/wire_question.hpp"
#include "tessera/error.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

RemoteObject& queue_of(tsr_queue* queue) {
  return *reinterpret_cast<RemoteObject*>(queue);
}

template <typename Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return {reinterpret_cast<const std::byte*>(&record), record.record_bytes};
}

// Copies the structs that a reply ends with to the caller's, `stride` apart.
template <typename Struct>
void copy_array(WireReader& reader, void* out, uint32_t capacity,
                uint32_t stride) {
  const auto count = reader.get<uint64_t>();
  for (uint64_t i = 0; i < count && i < capacity && reader.ok(); ++i) {
    auto value = reader.get<Struct>();
    value.struct_size = std::min(stride, static_cast<uint32_t>(sizeof(Struct)));
    std::memcpy(static_cast<std::byte*>(out) + i * stride, &value,
                value.struct_size);
  }
}

// The ABI's parameters.
// NOLINTNEXTLINE(readability-function-size)
tsr_status check(tsr_device* handle, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out_refusals, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kCheck);
  put_question(call.arguments(), *program, weights, kv_pools);
  call.arguments().put(uint64_t{capacity});
  const tsr_status code = call.run(err);
  if (code != TSR_OK && code != TSR_UNIMPLEMENTED) return code;
  *out_count = static_cast<uint32_t>(call.results().get<uint64_t>());
  copy_array<tsr_refusal>(call.results(), out_refusals, capacity, stride);
  return code;
}

// NOLINTNEXTLINE(readability-function-size)
tsr_status estimate(tsr_device* handle, const tsr_program_desc* program,
                    const tsr_array* weights, const tsr_array* kv_pools,
                    const tsr_step_shape* step, tsr_error* err,
                    tsr_estimate* out_estimate) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kEstimate);
  put_question(call.arguments(), *program, weights, kv_pools);
  call.arguments().put(
      sdk::read_struct<tsr_step_shape>(step, step->struct_size));
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  sdk::detail::copy_out(call.results().get<tsr_estimate>(), out_estimate);
  return TSR_OK;
}

tsr_status create_program(tsr_device* handle, const tsr_program_desc* program,
                          tsr_error* err, tsr_program_info* out_info) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kProgramCreate);
  call.arguments().put_bytes(bytes_of(*program));
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  sdk::detail::copy_out(call.results().get<tsr_program_info>(), out_info);
  return TSR_OK;
}

tsr_status read_segment(tsr_device* handle, uint64_t program, uint32_t index,
                        tsr_error* err, tsr_segment* out_segment) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kProgramSegment);
  call.arguments().put(program);
  call.arguments().put(uint64_t{index});
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  sdk::detail::copy_out(call.results().get<tsr_segment>(), out_segment);
  return TSR_OK;
}

void destroy_program(tsr_device* handle, uint64_t program) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kProgramDestroy);
  call.arguments().put(program);
  call.run(nullptr);
}

tsr_status create_queue(tsr_device* handle, tsr_error* err,
                        tsr_queue** out_queue) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kQueueCreate);
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  *out_queue = reinterpret_cast<tsr_queue*>(
      new RemoteObject{&device, call.results().get<uint64_t>()});
  return TSR_OK;
}

tsr_status submit(tsr_queue* handle, const tsr_submission* submission,
                  tsr_error* err) {
  const RemoteObject& queue = queue_of(handle);
  RemoteCall call =
      remote_call(*queue.device, CallId::kQueueSubmit, queue.handle);
  call.arguments().put_bytes(bytes_of(*submission));
  return call.run(err);
}

void destroy_queue(tsr_queue* handle) {
  const std::unique_ptr<RemoteObject> queue(&queue_of(handle));
  remote_call(*queue->device, CallId::kQueueDestroy, queue->handle)
      .run(nullptr);
}

tsr_status read_profile(tsr_device* handle, tsr_error* err,
                        tsr_kernel_record* out_records, uint32_t capacity,
                        uint32_t stride, uint32_t* out_count) {
  RemoteDevice& device = remote_device(handle);
  RemoteCall call = remote_call(device, CallId::kProfileRead);
  call.arguments().put(uint64_t{capacity});
  const tsr_status code = call.run(err);
  if (code != TSR_OK) return code;
  const auto count = static_cast<uint32_t>(call.results().get<uint64_t>());
  *out_count = std::min(count, capacity);
  copy_array<tsr_kernel_record>(call.results(), out_records, capacity, stride);
  return TSR_OK;
}

}  // namespace

void fill_remote_programs(tsr_api& api) {
  api.check = check;
  api.estimate = estimate;
  api.program_create = create_program;
  api.program_segment = read_segment;
  api.program_destroy = destroy_program;
  api.queue_create = create_queue;
  api.queue_submit = submit;
  api.queue_destroy = destroy_queue;
  api.profile_read = read_profile;
}

}  // namespace tessera
