// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/queue.hpp"

#include <cstring>
#include <string>

#include "backends/vulkan/program.hpp"

namespace tessera::vulkan {
namespace {

char* host_at(const BufferRange& range) {
  return range.buffer->host() + range.offset;
}

}  // namespace

void VulkanQueue::run(const sdk::SubmissionView& submission) {
  switch (submission.value().kind) {
    case TSR_SUBMIT_PROGRAM:
      return device_.program(submission.value().program)
          ->run(submission, lane_);
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
  const BufferRange from{src.get(), value.src_offset};
  const BufferRange to{dst.get(), value.dst_offset};
  if (src->is_staged() && dst->is_staged()) {
    std::memmove(host_at(to), host_at(from), value.bytes);
  } else if (src->is_staged()) {
    device_.ring().upload({{host_at(from), to, value.bytes}});
  } else if (dst->is_staged()) {
    device_.ring().download({{host_at(to), from, value.bytes}});
  } else {
    device_.copy(lane_, from, to, value.bytes);
  }
}

void VulkanQueue::copy_kv_blocks(const sdk::SubmissionView& submission) {
  const auto pool = device_.kv_pool(submission.value().src);
  std::vector<BufferCopy> copies;
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const std::vector<BufferCopy> more =
        pool->copies_within(pair.src, pair.dst);
    copies.insert(copies.end(), more.begin(), more.end());
  }
  device_.copy(lane_, copies);
}

void VulkanQueue::transfer_kv_blocks(const sdk::SubmissionView& submission) {
  const tsr_submission& value = submission.value();
  const bool exports = value.kind == TSR_SUBMIT_KV_EXPORT;
  const auto pool = device_.kv_pool(exports ? value.src : value.dst);
  const auto buffer = device_.find_buffer(exports ? value.dst : value.src);
  const uint64_t offset = exports ? value.dst_offset : value.src_offset;
  std::vector<BufferCopy> copies;
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint64_t index = exports ? pair.dst : pair.src;
    const BufferRange canonical{buffer.get(),
                                offset + index * pool->block_bytes()};
    const std::vector<BufferCopy> more =
        exports ? pool->copies_out(pair.src, canonical)
                : pool->copies_in(pair.dst, canonical);
    copies.insert(copies.end(), more.begin(), more.end());
  }
  if (!buffer->is_staged()) return device_.copy(lane_, copies);
  std::vector<HostCopy> staged;
  for (const BufferCopy& copy : copies) {
    const BufferRange& canonical = exports ? copy.to : copy.from;
    staged.push_back(
        {host_at(canonical), exports ? copy.from : copy.to, copy.bytes});
  }
  if (exports) return device_.ring().download(staged);
  device_.ring().upload(staged);
}

}  // namespace tessera::vulkan
