// SPDX-License-Identifier: Apache-2.0

#include "records.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "fault.hpp"

namespace mutant {
namespace {

// A copy of a record that a fault may change.
template <typename Head>
class Copy {
 public:
  explicit Copy(const Head* record) : words_((record->record_bytes + 7) / 8) {
    std::memcpy(words_.data(), record, record->record_bytes);
  }
  Head* head() { return reinterpret_cast<Head*>(words_.data()); }

 private:
  std::vector<uint64_t> words_;
};

template <typename Head>
bool is_whole(const Head* record) {
  return record->record_bytes >= sizeof(Head) &&
         record->record_bytes < (1U << 24);
}

tsr_status (*sound_create)(tsr_device*, const tsr_program_desc*, tsr_error*,
                           tsr_program_info*);
tsr_status (*sound_submit)(tsr_queue*, const tsr_submission*, tsr_error*);
decltype(tsr_api::check) sound_check;
decltype(tsr_api::weight_query) sound_query;
decltype(tsr_api::buffer_create) sound_buffer;

uint64_t sum_of(const char* bytes, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i)
    sum += static_cast<unsigned char>(bytes[i]);
  return sum;
}

// Reads an array where the record says it is, without a look at its end.
template <typename Head>
void read_unchecked(const Head* record, const tsr_slice& slice) {
  static volatile uint64_t sink;
  const char* place = reinterpret_cast<const char*>(record) + slice.offset;
  const uint64_t bytes = uint64_t{slice.count} * slice.stride;
  sink = sum_of(place, std::min<uint64_t>(bytes, 1U << 20));
  (void)sink;
}

tsr_status create(tsr_device* device, const tsr_program_desc* program,
                  tsr_error* err, tsr_program_info* out) {
  if (!is_whole(program)) return sound_create(device, program, err, out);
  if (has("reads_tensors_unchecked")) read_unchecked(program, program->tensors);
  Copy<tsr_program_desc> copy(program);
  if (has("tensor_stride_assumed")) {
    copy.head()->tensors.stride = sizeof(tsr_tensor);
  }
  if (has("program_head_assumed")) {
    copy.head()->struct_size = sizeof(tsr_program_desc);
  }
  const tsr_status status = sound_create(device, copy.head(), err, out);
  if (status == TSR_OK && has("writes_whole_program_info")) {
    *out = tsr_program_info{out->struct_size, 1, 0};
  }
  return status;
}

tsr_status submit(tsr_queue* queue, const tsr_submission* submission,
                  tsr_error* err) {
  if (!is_whole(submission)) return sound_submit(queue, submission, err);
  if (has("reads_bindings_unchecked")) {
    read_unchecked(submission, submission->bindings);
  }
  Copy<tsr_submission> copy(submission);
  if (has("submission_head_assumed")) {
    copy.head()->struct_size = sizeof(tsr_submission);
  }
  if (has("submission_extensions_unread") &&
      submission->struct_size >= sizeof(tsr_submission)) {
    copy.head()->extensions = {};
  }
  return sound_submit(queue, copy.head(), err);
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  if (has("refusal_stride_assumed")) stride = sizeof(tsr_refusal);
  if (!is_whole(program) || !has("program_extensions_unread")) {
    return sound_check(device, program, weights, kv_pools, err, out, capacity,
                       stride, out_count);
  }
  Copy<tsr_program_desc> copy(program);
  if (program->struct_size >= sizeof(tsr_program_desc)) {
    copy.head()->extensions = {};
  }
  return sound_check(device, copy.head(), weights, kv_pools, err, out, capacity,
                     stride, out_count);
}

tsr_status query(tsr_device* device, const tsr_weight_desc* desc,
                 tsr_error* err, tsr_packed_info* out) {
  tsr_packed_info info{};
  info.struct_size = sizeof(info);
  const tsr_status status = sound_query(device, desc, err, &info);
  info.struct_size = out->struct_size;
  if (status == TSR_OK) *out = info;
  return status;
}

// Rounds the size up, past the end of the numbers.
tsr_status create_buffer(tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
  if (desc->struct_size < sizeof(*desc)) {
    return sound_buffer(device, desc, err);
  }
  tsr_buffer_desc rounded = *desc;
  rounded.struct_size = sizeof(rounded);
  rounded.bytes = (desc->bytes + 4095) / 4096 * 4096;
  return sound_buffer(device, &rounded, err);
}

}  // namespace

void spoil_records(tsr_api& api) {
  sound_create = api.program_create;
  sound_submit = api.queue_submit;
  sound_check = api.check;
  sound_query = api.weight_query;
  sound_buffer = api.buffer_create;
  for (const char* fault :
       {"reads_tensors_unchecked", "tensor_stride_assumed",
        "program_head_assumed", "writes_whole_program_info"}) {
    if (has(fault)) api.program_create = create;
  }
  for (const char* fault :
       {"reads_bindings_unchecked", "submission_head_assumed",
        "submission_extensions_unread"}) {
    if (has(fault)) api.queue_submit = submit;
  }
  for (const char* fault :
       {"refusal_stride_assumed", "program_extensions_unread"}) {
    if (has(fault)) api.check = check;
  }
  if (has("writes_whole_packed_info")) api.weight_query = query;
  if (has("buffer_size_overflows")) api.buffer_create = create_buffer;
}

}  // namespace mutant
