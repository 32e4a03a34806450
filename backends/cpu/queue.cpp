// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/queue.hpp"

#include <cstring>
#include <string>

#include "backends/cpu/program.hpp"

namespace tessera::cpu {

void CpuQueue::run(const sdk::SubmissionView& submission) {
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

void CpuQueue::run_program(const sdk::SubmissionView& submission) {
  const auto program = device_.program(submission.value().program);
  const Exec exec = device_.exec();
  const bool profile = (submission.value().flags & TSR_SUBMIT_PROFILE) != 0;
  if (!profile) return program->run(submission, exec, nullptr);
  records_.clear();
  program->run(submission, exec, &records_);
  device_.add_records(records_);
}

void CpuQueue::run_kv_copy(const sdk::SubmissionView& submission) const {
  const auto pool = device_.kv_pool(submission.value().src);
  const KvPool blocks{pool->memory, pool->layout.num_blocks};
  const std::vector<tsr_block_pair> pairs = submission.blocks().all();
  kv_copy(pool->layout, blocks, blocks, pairs.data(),
          static_cast<int64_t>(pairs.size()));
}

// Blocks are canonical here, so export and import are copies between the pool
// and a buffer.
void CpuQueue::run_kv_transfer(const sdk::SubmissionView& submission) const {
  const tsr_submission& value = submission.value();
  const bool exports = value.kind == TSR_SUBMIT_KV_EXPORT;
  const auto pool = device_.kv_pool(exports ? value.src : value.dst);
  const auto buffer = device_.buffer(exports ? value.dst : value.src);
  const uint64_t offset = exports ? value.dst_offset : value.src_offset;
  const auto block_bytes = static_cast<uint64_t>(pool->layout.block_bytes);
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint32_t block = exports ? pair.src : pair.dst;
    const uint32_t index = exports ? pair.dst : pair.src;
    require(block < pool->desc.num_blocks,
            "block " + std::to_string(block) + " of " +
                std::to_string(pool->desc.num_blocks));
    char* canonical = buffer->at(offset + index * block_bytes, block_bytes);
    std::byte* own = pool->memory + block * block_bytes;
    if (exports) {
      std::memcpy(canonical, own, block_bytes);
    } else {
      std::memcpy(own, canonical, block_bytes);
    }
  }
}

}  // namespace tessera::cpu
