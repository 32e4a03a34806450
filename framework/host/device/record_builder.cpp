// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/record_builder.hpp"

#include <cassert>
#include <cstring>

namespace tessera {
namespace {

// All arrays of a record begin at a multiple of this.
constexpr size_t kAlignment = 8;

constexpr size_t round_up(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Appends `bytes` to the record, padded; returns where they lie.
tsr_slice append(std::vector<std::byte>& record, const void* data, size_t bytes,
                 size_t count, size_t stride) {
  tsr_slice slice{};
  slice.offset = static_cast<uint32_t>(record.size());
  slice.count = static_cast<uint32_t>(count);
  slice.stride = static_cast<uint32_t>(stride);
  slice.bytes = static_cast<uint32_t>(bytes);
  record.resize(record.size() + round_up(bytes));
  if (bytes != 0) std::memcpy(record.data() + slice.offset, data, bytes);
  return slice;
}

template <typename Element>
tsr_slice append_all(std::vector<std::byte>& record,
                     const std::vector<Element>& elements) {
  return append(record, elements.data(), elements.size() * sizeof(Element),
                elements.size(), sizeof(Element));
}

}  // namespace

uint32_t ProgramBuilder::add_tensor(tsr_tensor tensor) {
  tensor.struct_size = sizeof(tensor);
  tensors_.push_back(tensor);
  return static_cast<uint32_t>(tensors_.size() - 1);
}

void ProgramBuilder::append_op(const void* op, size_t bytes) {
  const size_t offset = ops_.size();
  ops_.resize(offset + round_up(bytes));
  std::memcpy(ops_.data() + offset, op, bytes);
  ++num_ops_;
}

uint32_t ProgramBuilder::add_weight(uint64_t id) {
  weights_.push_back(id);
  return static_cast<uint32_t>(weights_.size() - 1);
}

uint32_t ProgramBuilder::add_kv_pool(uint64_t id) {
  kv_pools_.push_back(id);
  return static_cast<uint32_t>(kv_pools_.size() - 1);
}

void ProgramBuilder::set_limits(uint32_t max_tokens, uint32_t max_seqs,
                                uint32_t max_outputs,
                                uint32_t max_blocks_per_seq) {
  desc_.max_tokens = max_tokens;
  desc_.max_seqs = max_seqs;
  desc_.max_outputs = max_outputs;
  desc_.max_blocks_per_seq = max_blocks_per_seq;
}

std::vector<std::byte> ProgramBuilder::build() const {
  std::vector<std::byte> record(round_up(sizeof(tsr_program_desc)));
  tsr_program_desc desc = desc_;
  desc.struct_size = sizeof(desc);
  desc.tensors = append_all(record, tensors_);
  desc.ops = append(record, ops_.data(), ops_.size(), num_ops_, 0);
  desc.weights = append_all(record, weights_);
  desc.kv_pools = append_all(record, kv_pools_);
  desc.bindings = append_all(record, bindings_);
  desc.record_bytes = static_cast<uint32_t>(record.size());
  std::memcpy(record.data(), &desc, sizeof(desc));
  return record;
}

SubmissionBuilder::SubmissionBuilder(uint32_t kind)
    : words_(round_up(sizeof(tsr_submission)) / sizeof(uint64_t)) {
  head().struct_size = sizeof(tsr_submission);
  head().record_bytes = static_cast<uint32_t>(words_.size() * sizeof(uint64_t));
  head().kind = kind;
}

tsr_submission& SubmissionBuilder::head() {
  return *reinterpret_cast<tsr_submission*>(words_.data());
}

// An array that is to grow moves to the end of the record first, unless it lies
// there; the gap it leaves is never read.
std::byte* SubmissionBuilder::grow(tsr_slice tsr_submission::*slice,
                                   uint32_t stride) {
  const tsr_slice before = head().*slice;
  const auto end = static_cast<uint32_t>(words_.size() * sizeof(uint64_t));
  const bool at_end =
      before.count != 0 && before.offset + round_up(before.bytes) == end;
  const uint32_t offset = at_end ? before.offset : end;
  const uint32_t bytes = before.bytes + stride;
  words_.resize((offset + round_up(bytes)) / sizeof(uint64_t));
  auto* record = reinterpret_cast<std::byte*>(words_.data());
  std::memmove(record + offset, record + before.offset, before.bytes);
  head().*slice = {offset, before.count + 1, stride, bytes};
  head().record_bytes = static_cast<uint32_t>(words_.size() * sizeof(uint64_t));
  return record + offset + before.bytes;
}

std::byte* SubmissionBuilder::at(tsr_slice tsr_submission::*slice,
                                 uint32_t index) {
  const tsr_slice& where = head().*slice;
  assert(index < where.count);
  return reinterpret_cast<std::byte*>(words_.data()) + where.offset +
         size_t{index} * where.stride;
}

template <typename Element>
uint32_t SubmissionBuilder::add(tsr_slice tsr_submission::*slice,
                                const Element& element) {
  std::memcpy(grow(slice, sizeof(Element)), &element, sizeof(Element));
  return (head().*slice).count - 1;
}

uint32_t SubmissionBuilder::add_wait(const tsr_point& point) {
  return add(&tsr_submission::waits, point);
}

uint32_t SubmissionBuilder::add_signal(const tsr_point& point) {
  return add(&tsr_submission::signals, point);
}

uint32_t SubmissionBuilder::add_binding(const tsr_binding& binding) {
  return add(&tsr_submission::bindings, binding);
}

uint32_t SubmissionBuilder::add_block(const tsr_block_pair& pair) {
  return add(&tsr_submission::blocks, pair);
}

tsr_point& SubmissionBuilder::wait(uint32_t index) {
  return *reinterpret_cast<tsr_point*>(at(&tsr_submission::waits, index));
}

tsr_point& SubmissionBuilder::signal(uint32_t index) {
  return *reinterpret_cast<tsr_point*>(at(&tsr_submission::signals, index));
}

tsr_binding& SubmissionBuilder::binding(uint32_t index) {
  return *reinterpret_cast<tsr_binding*>(at(&tsr_submission::bindings, index));
}

tsr_block_pair& SubmissionBuilder::block(uint32_t index) {
  return *reinterpret_cast<tsr_block_pair*>(at(&tsr_submission::blocks, index));
}

}  // namespace tessera
