// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/submitter.hpp"

#include <cstring>

namespace tessera::bench {

Result<std::unique_ptr<Submitter>> Submitter::create(
    const std::shared_ptr<Device>& device) {
  std::unique_ptr<Submitter> submitter(new Submitter(device));
  TSR_ASSIGN_OR_RETURN(submitter->visible_kind_,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(submitter->queue_, device->create_queue());
  TSR_ASSIGN_OR_RETURN(submitter->timeline_id_,
                       submitter->timeline_.import_into(device));
  return submitter;
}

void Submitter::prepare(SubmissionBuilder& submission) const {
  submission.add_signal({timeline_id_, 0});
}

Status Submitter::run(SubmissionBuilder& submission) {
  submission.signal(0).value = ++next_value_;
  TSR_RETURN_IF_ERROR(queue_.submit(submission.record()));
  return timeline_.wait(next_value_);
}

uint32_t Submitter::fast_kind() const {
  const Result<uint32_t> fast = device_->memory_kind_with(TSR_MEMORY_DEVICE);
  return fast.ok() ? *fast : visible_kind_;
}

Result<Buffer> Submitter::fast_buffer(uint64_t bytes) {
  return device_->create_buffer(bytes, fast_kind());
}

Result<Buffer> Submitter::visible_buffer(uint64_t bytes) {
  return device_->create_buffer(bytes, visible_kind_);
}

Status Submitter::copy(const Buffer& src, const Buffer& dst, uint64_t bytes) {
  SubmissionBuilder submission(TSR_SUBMIT_COPY);
  tsr_submission& record = submission.record();
  record.src = src.id();
  record.dst = dst.id();
  record.bytes = bytes;
  prepare(submission);
  return run(submission);
}

Status Submitter::write(Buffer& buffer, std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  const Result<void*> mapped = buffer.map();
  if (mapped.ok()) {
    std::memcpy(*mapped, bytes.data(), bytes.size());
    return buffer.flush();
  }
  TSR_ASSIGN_OR_RETURN(Buffer staging, visible_buffer(bytes.size()));
  TSR_ASSIGN_OR_RETURN(void* memory, staging.map());
  std::memcpy(memory, bytes.data(), bytes.size());
  TSR_RETURN_IF_ERROR(staging.flush());
  return copy(staging, buffer, bytes.size());
}

Result<Buffer> Submitter::upload(std::span<const std::byte> bytes) {
  TSR_ASSIGN_OR_RETURN(Buffer buffer, fast_buffer(bytes.size()));
  TSR_RETURN_IF_ERROR(write(buffer, bytes));
  return buffer;
}

Result<std::vector<std::byte>> Submitter::download(Buffer& buffer,
                                                   uint64_t bytes) {
  std::vector<std::byte> result(bytes);
  if (bytes == 0) return result;
  const Result<void*> mapped = buffer.map();
  if (mapped.ok()) {
    TSR_RETURN_IF_ERROR(buffer.invalidate());
    std::memcpy(result.data(), *mapped, bytes);
    return result;
  }
  TSR_ASSIGN_OR_RETURN(Buffer staging, visible_buffer(bytes));
  TSR_RETURN_IF_ERROR(copy(buffer, staging, bytes));
  TSR_RETURN_IF_ERROR(staging.invalidate());
  TSR_ASSIGN_OR_RETURN(const void* memory, staging.map());
  std::memcpy(result.data(), memory, bytes);
  return result;
}

}  // namespace tessera::bench
