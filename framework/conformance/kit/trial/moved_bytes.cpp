// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/moved_bytes.hpp"

#include <cstring>
#include <random>

#include "framework/conformance/kit/case.hpp"

namespace tessera::conformance {

Status submit(const std::shared_ptr<Device>& device, SubmissionBuilder& work) {
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  work.add_signal({id, 1});
  TSR_RETURN_IF_ERROR(queue.submit(work.record()));
  return timeline.wait(1, kPatienceNs);
}

Result<Buffer> filled_buffer(const std::shared_ptr<Device>& device,
                             const std::vector<std::byte>& contents) {
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(Buffer buffer,
                       device->create_buffer(contents.size(), kind));
  TSR_ASSIGN_OR_RETURN(void* memory, buffer.map());
  std::memcpy(memory, contents.data(), contents.size());
  TSR_RETURN_IF_ERROR(buffer.flush());
  return buffer;
}

Result<std::vector<std::byte>> contents_of(Buffer& buffer) {
  TSR_RETURN_IF_ERROR(buffer.invalidate());
  TSR_ASSIGN_OR_RETURN(void* mapped, buffer.map());
  const auto* memory = static_cast<const std::byte*>(mapped);
  return std::vector<std::byte>(memory, memory + buffer.bytes());
}

std::vector<std::byte> random_bytes(size_t count, uint32_t seed) {
  std::vector<std::byte> bytes(count);
  std::mt19937 rng(seed);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng());
  return bytes;
}

Status copy(const std::shared_ptr<Device>& device, const tsr_submission& what) {
  SubmissionBuilder work(TSR_SUBMIT_COPY);
  work.record().src = what.src;
  work.record().dst = what.dst;
  work.record().src_offset = what.src_offset;
  work.record().dst_offset = what.dst_offset;
  work.record().bytes = what.bytes;
  return submit(device, work);
}

}  // namespace tessera::conformance
