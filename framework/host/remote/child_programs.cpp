// SPDX-License-Identifier: Apache-2.0
//
// The child's calls about programs and queues.

#include <algorithm>
#include <span>
#include <vector>

#include "framework/host/remote/child_server.hpp"
#include "framework/host/remote/wire_question.hpp"

namespace tessera {
namespace {

// A record of at least `Head`'s size, as it lies in the message; null if it is
// shorter, or than it says.
template <typename Head>
const Head* record_in(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Head)) return nullptr;
  const auto* head = reinterpret_cast<const Head*>(bytes.data());
  return head->record_bytes == bytes.size() ? head : nullptr;
}

// Each of `structs` with its own size filled in.
template <typename Struct>
std::vector<Struct> make_structs(uint64_t count) {
  constexpr uint64_t kMost = 65536;
  std::vector<Struct> structs(std::min(count, kMost));
  for (Struct& value : structs) value.struct_size = sizeof(value);
  return structs;
}

// The true number, then those there is room for.
template <typename Struct>
void put_structs(WireWriter& writer, const std::vector<Struct>& structs,
                 uint32_t count) {
  const uint64_t filled = std::min<uint64_t>(count, structs.size());
  writer.put(uint64_t{count});
  writer.put(filled);
  for (uint64_t i = 0; i < filled; ++i) writer.put(structs[i]);
}

}  // namespace

tsr_status ChildServer::check(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  Question question;
  if (!get_question(request_, question)) return fail_short_message(err);
  auto refusals = make_structs<tsr_refusal>(request_.get<uint64_t>());
  const tsr_array weights = question.weight_array();
  const tsr_array kv_pools = question.kv_array();
  uint32_t count = 0;
  const tsr_status code = api().check(
      device, question.program, &weights, &kv_pools, err, refusals.data(),
      static_cast<uint32_t>(refusals.size()), sizeof(tsr_refusal), &count);
  put_structs(reply_, refusals, count);
  return code;
}

tsr_status ChildServer::estimate(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  Question question;
  if (!get_question(request_, question)) return fail_short_message(err);
  auto step = request_.get<tsr_step_shape>();
  step.struct_size = sizeof(step);
  const tsr_array weights = question.weight_array();
  const tsr_array kv_pools = question.kv_array();
  tsr_estimate estimate{};
  estimate.struct_size = sizeof(estimate);
  const tsr_status code = api().estimate(device, question.program, &weights,
                                         &kv_pools, &step, err, &estimate);
  reply_.put(estimate);
  return code;
}

tsr_status ChildServer::program_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto* program = record_in<tsr_program_desc>(request_.get_bytes());
  if (program == nullptr) return fail_short_message(err);
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  const tsr_status code = api().program_create(device, program, err, &info);
  reply_.put(info);
  return code;
}

tsr_status ChildServer::program_segment(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  const auto program = request_.get<uint64_t>();
  const auto index = static_cast<uint32_t>(request_.get<uint64_t>());
  tsr_segment segment{};
  segment.struct_size = sizeof(segment);
  const tsr_status code =
      api().program_segment(device, program, index, err, &segment);
  reply_.put(segment);
  return code;
}

tsr_status ChildServer::program_destroy(tsr_error* /*err*/) {
  auto* device = get_handle<tsr_device>();
  api().program_destroy(device, request_.get<uint64_t>());
  return TSR_OK;
}

tsr_status ChildServer::queue_create(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  tsr_queue* queue = nullptr;
  const tsr_status code = api().queue_create(device, err, &queue);
  if (code == TSR_OK) put_handle(queue);
  return code;
}

tsr_status ChildServer::queue_submit(tsr_error* err) {
  auto* queue = get_handle<tsr_queue>();
  const auto* submission = record_in<tsr_submission>(request_.get_bytes());
  if (submission == nullptr) return fail_short_message(err);
  return api().queue_submit(queue, submission, err);
}

tsr_status ChildServer::queue_destroy(tsr_error* /*err*/) {
  api().queue_destroy(get_handle<tsr_queue>());
  return TSR_OK;
}

tsr_status ChildServer::profile_read(tsr_error* err) {
  auto* device = get_handle<tsr_device>();
  auto records = make_structs<tsr_kernel_record>(request_.get<uint64_t>());
  uint32_t count = 0;
  const tsr_status code = api().profile_read(
      device, err, records.data(), static_cast<uint32_t>(records.size()),
      sizeof(tsr_kernel_record), &count);
  put_structs(reply_, records, count);
  return code;
}

}  // namespace tessera
