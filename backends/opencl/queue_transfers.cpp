// SPDX-License-Identifier: Apache-2.0
//
// Copies between buffers and of KV blocks, which are done when they return.

#include <string>

#include "backends/opencl/queue.hpp"

namespace tessera::opencl {

void OpenClQueue::run_transfer(const sdk::SubmissionView& submission) {
  switch (submission.value().kind) {
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

void OpenClQueue::copy(const Range& from, const Range& to, uint64_t bytes) {
  if (bytes == 0) return;
  // OpenCL copies no ranges that overlap, so one buffer goes by way of another.
  if (from.buffer == to.buffer) {
    const auto between = device_.create_private(bytes);
    copy(from, {between.get(), 0}, bytes);
    copy({between.get(), 0}, to, bytes);
    check_cl(clFinish(queue_.get()), "clFinish");
    return;
  }
  check_cl(clEnqueueCopyBuffer(queue_.get(), from.buffer->memory(),
                               to.buffer->memory(), from.offset, to.offset,
                               bytes, 0, nullptr, nullptr),
           "clEnqueueCopyBuffer");
}

void OpenClQueue::copy_buffers(const tsr_submission& value) {
  const auto src = device_.find_buffer(value.src);
  const auto dst = device_.find_buffer(value.dst);
  src->require_range(value.src_offset, value.bytes);
  dst->require_range(value.dst_offset, value.bytes);
  src->to_device(queue_.get(), value.src_offset, value.bytes);
  dst->to_device(queue_.get(), value.dst_offset, value.bytes);
  copy({src.get(), value.src_offset}, {dst.get(), value.dst_offset},
       value.bytes);
  check_cl(clFinish(queue_.get()), "clFinish");
  src->to_host(queue_.get(), value.src_offset, value.bytes);
  dst->to_host(queue_.get(), value.dst_offset, value.bytes);
  check_cl(clFinish(queue_.get()), "clFinish");
}

namespace {

uint64_t block_offset(const KvPool& pool, uint32_t block) {
  if (block >= pool.desc.num_blocks) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "block " + std::to_string(block) + " of " +
                         std::to_string(pool.desc.num_blocks));
  }
  return pool.place.begin + block * pool.place.block_bytes;
}

}  // namespace

void OpenClQueue::copy_kv_blocks(const sdk::SubmissionView& submission) {
  const auto pool = device_.kv_pool(submission.value().src);
  Buffer* buffer = pool->buffer.get();
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint64_t from = block_offset(*pool, pair.src);
    const uint64_t to = block_offset(*pool, pair.dst);
    if (from == to) continue;
    check_cl(clEnqueueCopyBuffer(queue_.get(), buffer->memory(),
                                 buffer->memory(), from, to,
                                 pool->place.block_bytes, 0, nullptr, nullptr),
             "clEnqueueCopyBuffer");
  }
  check_cl(clFinish(queue_.get()), "clFinish");
}

// Blocks are canonical here, so export and import are copies between the pool
// and a buffer.
void OpenClQueue::transfer_kv_blocks(const sdk::SubmissionView& submission) {
  const tsr_submission& value = submission.value();
  const bool exports = value.kind == TSR_SUBMIT_KV_EXPORT;
  const auto pool = device_.kv_pool(exports ? value.src : value.dst);
  const auto buffer = device_.find_buffer(exports ? value.dst : value.src);
  const uint64_t offset = exports ? value.dst_offset : value.src_offset;
  const uint64_t bytes = pool->place.block_bytes;
  for (uint32_t i = 0; i < submission.blocks().size(); ++i) {
    const tsr_block_pair pair = submission.blocks()[i];
    const uint64_t own = block_offset(*pool, exports ? pair.src : pair.dst);
    const uint64_t place =
        offset + (exports ? pair.dst : pair.src) * uint64_t{bytes};
    buffer->require_range(place, bytes);
    buffer->to_device(queue_.get(), place, bytes);
    const Range inside{pool->buffer.get(), own};
    const Range outside{buffer.get(), place};
    copy(exports ? inside : outside, exports ? outside : inside, bytes);
    buffer->to_host(queue_.get(), place, bytes);
  }
  check_cl(clFinish(queue_.get()), "clFinish");
}

}  // namespace tessera::opencl
