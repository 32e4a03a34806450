// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/queue.hpp"

#include <cstring>
#include <string>

#include "backends/npu_sim/launches/program.hpp"

namespace tessera::npu {
namespace {

std::byte* block_of(const KvPool& pool, uint32_t block) {
  if (block >= pool.layout.num_blocks) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "block " + std::to_string(block) + " of " +
                         std::to_string(pool.layout.num_blocks));
  }
  return pool.data + int64_t{block} * pool.layout.block_bytes;
}

}  // namespace

void NpuQueue::run(const sdk::SubmissionView& submission) {
  switch (submission.value().kind) {
    case TSR_SUBMIT_PROGRAM:
      return run_program(submission);
    case TSR_SUBMIT_COPY:
      return run_copy(submission.value());
    case TSR_SUBMIT_KV_COPY:
      return run_kv_copy(submission);
    case TSR_SUBMIT_KV_EXPORT:
    case TSR_SUBMIT_KV_IMPORT:
      return run_kv_transfer(submission);
    default:
      throw sdk::Error(
          TSR_UNIMPLEMENTED,
          "no submission of kind " + std::to_string(submission.value().kind));
  }
}

void NpuQueue::run_program(const sdk::SubmissionView& submission) {
  const auto program = device_.program(submission.value().program);
  const bool profile = (submission.value().flags & TSR_SUBMIT_PROFILE) != 0;
  if (!profile) return program->run(submission, nullptr);
  records_.clear();
  program->run(submission, &records_);
  device_.add_records(records_);
}

void NpuQueue::run_kv_copy(const sdk::SubmissionView& submission) const {
  const auto place = device_.kv_pool(submission.value().src);
  const auto bytes = static_cast<size_t>(place->pool.layout.block_bytes);
  for (const tsr_block_pair& pair : submission.blocks().all()) {
    std::byte* to = block_of(place->pool, pair.dst);
    std::memmove(to, block_of(place->pool, pair.src), bytes);
  }
}

// Blocks are canonical here, so export and import are copies between the pool
// and a buffer.
void NpuQueue::run_kv_transfer(const sdk::SubmissionView& submission) const {
  const tsr_submission& value = submission.value();
  const bool exports = value.kind == TSR_SUBMIT_KV_EXPORT;
  const auto place = device_.kv_pool(exports ? value.src : value.dst);
  const auto buffer = device_.buffer(exports ? value.dst : value.src);
  const uint64_t offset = exports ? value.dst_offset : value.src_offset;
  const auto bytes = static_cast<uint64_t>(place->pool.layout.block_bytes);
  for (const tsr_block_pair& pair : submission.blocks().all()) {
    std::byte* own = block_of(place->pool, exports ? pair.src : pair.dst);
    const uint32_t index = exports ? pair.dst : pair.src;
    char* canonical = buffer->at(offset + index * bytes, bytes);
    if (exports) {
      std::memcpy(canonical, own, bytes);
    } else {
      std::memcpy(own, canonical, bytes);
    }
  }
}

}  // namespace tessera::npu
