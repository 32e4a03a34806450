// SPDX-License-Identifier: Apache-2.0
//
// Builds program and submission records for tests, with no help from the
// framework: the ABI alone must suffice.

#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tessera/ops.h"

namespace tessera::abi_test {

// An 8-byte aligned block of bytes that grows.
class RecordBytes {
 public:
  // Appends `bytes` at the next multiple of 8 and returns where they lie.
  uint32_t append(const void* data, size_t bytes) {
    const size_t at = words_.size() * 8;
    words_.resize(words_.size() + (bytes + 7) / 8);
    if (bytes > 0) std::memcpy(this->data() + at, data, bytes);
    return static_cast<uint32_t>(at);
  }
  template <typename Element>
  tsr_slice append_array(const std::vector<Element>& elements) {
    const size_t bytes = elements.size() * sizeof(Element);
    const uint32_t at = append(elements.data(), bytes);
    return {at, static_cast<uint32_t>(elements.size()), sizeof(Element),
            static_cast<uint32_t>(bytes)};
  }

  char* data() { return reinterpret_cast<char*>(words_.data()); }
  uint32_t bytes() const { return static_cast<uint32_t>(words_.size() * 8); }
  std::vector<uint64_t> take() { return std::move(words_); }

 private:
  std::vector<uint64_t> words_;
};

// Bytes of a tsr_record_ext called `name` with `payload`.
inline std::vector<uint64_t> make_extension(
    const std::string& name, uint32_t flags,
    const std::vector<uint32_t>& payload = {}) {
  tsr_record_ext head{};
  head.struct_size = sizeof(head);
  head.flags = flags;
  name.copy(head.name, sizeof(head.name) - 1);
  RecordBytes record;
  record.append(&head, sizeof(head));
  record.append(payload.data(), payload.size() * sizeof(uint32_t));
  const uint32_t bytes = record.bytes();
  std::memcpy(record.data() + offsetof(tsr_record_ext, record_bytes), &bytes,
              sizeof(bytes));
  return record.take();
}

class ProgramBuilder {
 public:
  ProgramBuilder() {
    desc.struct_size = sizeof(desc);
    desc.id = 1;
    desc.max_tokens = 8;
    desc.max_seqs = 2;
    desc.max_outputs = 2;
    desc.max_blocks_per_seq = 4;
  }

  uint32_t tensor(uint32_t dtype, const std::vector<tsr_dim>& dims) {
    tsr_tensor t{};
    t.struct_size = sizeof(t);
    t.dtype = dtype;
    t.rank = static_cast<uint32_t>(dims.size());
    t.view_of = TSR_NONE;
    for (size_t d = 0; d < dims.size(); ++d) t.dims[d] = dims[d];
    tensors.push_back(t);
    return static_cast<uint32_t>(tensors.size() - 1);
  }
  // [TOKENS, features...]
  uint32_t tokens(uint32_t dtype, const std::vector<uint32_t>& features) {
    std::vector<tsr_dim> dims{{desc.max_tokens, TSR_DIM_TOKENS}};
    for (const uint32_t n : features) dims.push_back({n, TSR_DIM_FIXED});
    return tensor(dtype, dims);
  }
  uint32_t fixed(uint32_t dtype, const std::vector<uint32_t>& shape) {
    std::vector<tsr_dim> dims;
    dims.reserve(shape.size());
    for (const uint32_t n : shape) dims.push_back({n, TSR_DIM_FIXED});
    return tensor(dtype, dims);
  }

  // Appends an op with its extension payloads.
  template <typename Op>
  void op(uint32_t kind, Op body,
          const std::vector<std::vector<uint64_t>>& extensions = {}) {
    RecordBytes record;
    body.op.struct_size = sizeof(Op);
    body.op.kind = kind;
    record.append(&body, sizeof(Op));
    for (const auto& ext : extensions) {
      record.append(ext.data(), ext.size() * 8);
    }
    const uint32_t bytes = record.bytes();
    std::memcpy(record.data() + offsetof(tsr_op, record_bytes), &bytes,
                sizeof(bytes));
    ops_.append(record.data(), bytes);
    ++num_ops_;
  }

  // The record; data() of it is the tsr_program_desc.
  std::vector<uint64_t> build() {
    RecordBytes record;
    record.append(&desc, sizeof(desc));
    desc.tensors = record.append_array(tensors);
    desc.ops = {record.append(ops_.data(), ops_.bytes()), num_ops_, 0,
                ops_.bytes()};
    desc.weights = record.append_array(weights);
    desc.kv_pools = record.append_array(kv_pools);
    desc.bindings = record.append_array(bindings);
    if (!extension.empty()) {
      const auto bytes = static_cast<uint32_t>(extension.size() * 8);
      desc.extensions = {record.append(extension.data(), bytes), 1, 0, bytes};
    }
    desc.record_bytes = record.bytes();
    std::memcpy(record.data(), &desc, sizeof(desc));
    return record.take();
  }

  tsr_program_desc desc{};
  std::vector<tsr_tensor> tensors;
  std::vector<uint64_t> weights;
  std::vector<uint64_t> kv_pools;
  std::vector<tsr_binding> bindings;
  std::vector<uint64_t> extension;

 private:
  RecordBytes ops_;
  uint32_t num_ops_ = 0;
};

inline const tsr_program_desc* as_program(const std::vector<uint64_t>& words) {
  return reinterpret_cast<const tsr_program_desc*>(words.data());
}

class SubmissionBuilder {
 public:
  SubmissionBuilder() { value.struct_size = sizeof(value); }

  std::vector<uint64_t> build() {
    RecordBytes record;
    record.append(&value, sizeof(value));
    value.waits = record.append_array(waits);
    value.signals = record.append_array(signals);
    value.bindings = record.append_array(bindings);
    value.blocks = record.append_array(blocks);
    if (!extension.empty()) {
      const auto bytes = static_cast<uint32_t>(extension.size() * 8);
      value.extensions = {record.append(extension.data(), bytes), 1, 0, bytes};
    }
    value.record_bytes = record.bytes();
    std::memcpy(record.data(), &value, sizeof(value));
    return record.take();
  }

  tsr_submission value{};
  std::vector<tsr_point> waits;
  std::vector<tsr_point> signals;
  std::vector<tsr_binding> bindings;
  std::vector<tsr_block_pair> blocks;
  std::vector<uint64_t> extension;
};

inline const tsr_submission* as_submission(const std::vector<uint64_t>& words) {
  return reinterpret_cast<const tsr_submission*>(words.data());
}

}  // namespace tessera::abi_test
