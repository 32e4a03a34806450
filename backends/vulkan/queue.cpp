// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/queue.hpp"

#include <string>

#include "backends/vulkan/program.hpp"

namespace tessera::vulkan {

void VulkanQueue::run(const sdk::SubmissionView& submission) {
  switch (submission.value().kind) {
    case TSR_SUBMIT_PROGRAM:
      return device_.program(submission.value().program)->run(submission);
    case TSR_SUBMIT_COPY:
      return copy_buffers(submission.value());
    case TSR_SUBMIT_KV_COPY:
      return copy_kv_blocks(submission);
    case TSR_SUBMIT_KV_EXPORT:
    case TSR_SUBMIT_KV_IMPORT:
      return transfer_kv_blocks(submission);
    default:
      throw sdk::Error(
          TSR_UNIMPLEMENTED,
          "no submission of kind " + std::to_string(submission.value().kind));
  }
}

void VulkanQueue::copy_buffers(const tsr_submission& value) {
  const auto src = device_.find_buffer(value.src);
  const auto dst = device_.find_buffer(value.dst);
  src->require_range(value.src_offset, value.bytes);
  dst->require_range(value.dst_offset, value.bytes);
  device_.copy({src.get(), value.src_offset}, {dst.get(), value.dst_offset},
               value.bytes);
}

namespace {

uint64_t block_offset(const KvPool& pool, uint32_t block) {
  if (block >= pool.desc.num_blocks) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "block " + std::to_string(block) + " of " +
                         std::to_string(pool.desc.num_blocks));
  }
  return pool.offset + block * pool.place.block_bytes;
}

}  // namespace

void VulkanQueue::copy_kv_blocks(const sdk::SubmissionView& submission) {
  const auto pool = device_.kv_pool(submission.value().src);
  std::vector<BufferCopy> copies;
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint64_t from = block_offset(*pool, pair.src);
    const uint64_t to = block_offset(*pool, pair.dst);
    if (from == to) continue;
    copies.push_back({{pool->buffer.get(), from},
                      {pool->buffer.get(), to},
                      pool->place.block_bytes});
  }
  device_.copy(copies);
}

// Blocks are canonical here, so export and import are copies between the pool
// and a buffer.
void VulkanQueue::transfer_kv_blocks(const sdk::SubmissionView& submission) {
  const tsr_submission& value = submission.value();
  const bool exports = value.kind == TSR_SUBMIT_KV_EXPORT;
  const auto pool = device_.kv_pool(exports ? value.src : value.dst);
  const auto buffer = device_.find_buffer(exports ? value.dst : value.src);
  const uint64_t offset = exports ? value.dst_offset : value.src_offset;
  const uint64_t bytes = pool->place.block_bytes;
  std::vector<BufferCopy> copies;
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint64_t own = block_offset(*pool, exports ? pair.src : pair.dst);
    const uint64_t place = offset + (exports ? pair.dst : pair.src) * bytes;
    buffer->require_range(place, bytes);
    const BufferRange inside{pool->buffer.get(), own};
    const BufferRange outside{buffer.get(), place};
    copies.push_back(
        {exports ? inside : outside, exports ? outside : inside, bytes});
  }
  device_.copy(copies);
}

}  // namespace tessera::vulkan
