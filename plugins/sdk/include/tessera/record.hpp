// SPDX-License-Identifier: Apache-2.0
//
// tessera/record.hpp - reads programs and submissions: checks every offset
// once, then hands out values of today's structs whatever the writer's
// struct_size was.

#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/ops.h"

namespace tessera {

// Today's Struct from `bytes` readable bytes at `data`: what the writer did not
// know is zero.
template <typename Struct>
Struct read_struct(const void* data, size_t bytes) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct value{};
  std::memcpy(&value, data, bytes < sizeof(Struct) ? bytes : sizeof(Struct));
  return value;
}

// The elements of a tsr_slice or tsr_array of structs or plain numbers.
template <typename Element>
class Elements {
 public:
  Elements() = default;
  Elements(const void* data, uint32_t count, uint32_t stride)
      : data_(static_cast<const char*>(data)), count_(count), stride_(stride) {}
  explicit Elements(const tsr_array& array)
      : Elements(array.data, array.count, array.stride) {}

  uint32_t size() const { return count_; }
  Element operator[](uint32_t index) const {
    return read_struct<Element>(data_ + size_t{index} * stride_, stride_);
  }
  std::vector<Element> all() const {
    std::vector<Element> elements;
    elements.reserve(count_);
    for (uint32_t i = 0; i < count_; ++i) elements.push_back((*this)[i]);
    return elements;
  }

 private:
  const char* data_ = nullptr;
  uint32_t count_ = 0;
  uint32_t stride_ = 0;
};

namespace detail {

inline void require(bool condition, const std::string& message) {
  if (!condition) throw Error(TSR_INVALID_ARGUMENT, message);
}

// Checks that `slice` lies in a record of `record_bytes` and that its elements
// have at least `min_stride` bytes.
inline void check_slice(const tsr_slice& slice, uint32_t record_bytes,
                        uint32_t min_stride, const char* what) {
  const std::string name(what);
  if (slice.count == 0) return;
  require(slice.offset % 8 == 0, name + ": offset " +
                                     std::to_string(slice.offset) +
                                     " is not a multiple of 8");
  require(uint64_t{slice.offset} + slice.bytes <= record_bytes,
          name + ": ends at byte " +
              std::to_string(uint64_t{slice.offset} + slice.bytes) +
              " of a record of " + std::to_string(record_bytes));
  require(slice.stride >= min_stride,
          name + ": stride " + std::to_string(slice.stride) + " is less than " +
              std::to_string(min_stride));
  require(uint64_t{slice.stride} * slice.count <= slice.bytes,
          name + ": " + std::to_string(slice.count) + " elements in " +
              std::to_string(slice.bytes) + " bytes");
}

template <typename Element>
Elements<Element> slice_elements(const void* record, const tsr_slice& slice) {
  return {static_cast<const char*>(record) + slice.offset, slice.count,
          slice.stride};
}

}  // namespace detail

// One op of a program.
class OpRecord {
 public:
  explicit OpRecord(const void* data)
      : data_(data), head_(read_struct<tsr_op>(data, sizeof(tsr_op))) {}

  uint32_t kind() const { return head_.kind; }
  uint32_t flags() const { return head_.flags; }
  template <typename Op>
  Op as() const {
    return read_struct<Op>(data_, head_.struct_size);
  }

  // Calls visit(extension, payload, payload_bytes) for each extension.
  template <typename Visit>
  void each_extension(Visit&& visit) const {
    uint32_t at = (head_.struct_size + 7) / 8 * 8;
    while (at < head_.record_bytes) {
      const char* place = static_cast<const char*>(data_) + at;
      const auto head =
          read_struct<tsr_record_ext>(place, sizeof(tsr_record_ext));
      visit(head, place + head.struct_size,
            head.record_bytes - head.struct_size);
      at += head.record_bytes;
    }
  }

 private:
  const void* data_;
  tsr_op head_;
};

namespace detail {

inline void check_extensions(const char* op, const tsr_op& head,
                             const std::string& name) {
  uint32_t at = (head.struct_size + 7) / 8 * 8;
  while (at < head.record_bytes) {
    require(head.record_bytes - at >= sizeof(tsr_record_ext),
            name + ": truncated extension");
    const auto ext =
        read_struct<tsr_record_ext>(op + at, sizeof(tsr_record_ext));
    require(ext.struct_size >= sizeof(tsr_record_ext) &&
                ext.record_bytes >= ext.struct_size &&
                ext.record_bytes % 8 == 0 &&
                ext.record_bytes <= head.record_bytes - at,
            name + ": malformed extension");
    require(std::memchr(ext.name, 0, sizeof(ext.name)) != nullptr,
            name + ": extension name without end");
    at += ext.record_bytes;
  }
}

inline std::vector<OpRecord> read_ops(const char* record,
                                      const tsr_slice& slice) {
  std::vector<OpRecord> ops;
  uint32_t at = 0;
  for (uint32_t i = 0; i < slice.count; ++i) {
    const std::string name = "op " + std::to_string(i);
    const char* place = record + slice.offset + at;
    require(slice.bytes - at >= sizeof(tsr_op), name + ": truncated");
    const auto head = read_struct<tsr_op>(place, sizeof(tsr_op));
    require(head.struct_size >= sizeof(tsr_op) &&
                head.record_bytes >= head.struct_size &&
                head.record_bytes % 8 == 0 &&
                head.record_bytes <= slice.bytes - at,
            name + ": struct_size " + std::to_string(head.struct_size) +
                ", record_bytes " + std::to_string(head.record_bytes));
    check_extensions(place, head, name);
    ops.emplace_back(place);
    at += head.record_bytes;
  }
  return ops;
}

// A view reads its owner's memory: it must name an earlier tensor that is not a
// view itself, of the same dtype.
inline void check_tensor(const std::vector<tsr_tensor>& tensors, uint32_t id) {
  const tsr_tensor& tensor = tensors[id];
  const std::string name = "tensor " + std::to_string(id);
  require(tensor.rank >= 1 && tensor.rank <= 4,
          name + ": rank " + std::to_string(tensor.rank));
  uint64_t elements = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) {
    require(tensor.dims[d].max > 0, name + ": dimension of size 0");
    elements *= tensor.dims[d].max;
    require(elements <= UINT64_C(1) << 40, name + ": too large");
  }
  if (tensor.view_of == TSR_NONE) return;
  require(tensor.view_of < id && tensors[tensor.view_of].view_of == TSR_NONE &&
              tensors[tensor.view_of].dtype == tensor.dtype,
          name + ": bad view of tensor " + std::to_string(tensor.view_of));
}

}  // namespace detail

// A checked program record.  Keeps pointers into it.
class ProgramView {
 public:
  // Throws INVALID_ARGUMENT for a malformed record.
  explicit ProgramView(const tsr_program_desc* program)
      : desc_(read_struct<tsr_program_desc>(program, program->struct_size)) {
    const auto* record = reinterpret_cast<const char*>(program);
    const uint32_t bytes = desc_.record_bytes;
    detail::require(desc_.struct_size <= bytes,
                    "program: record_bytes " + std::to_string(bytes));
    detail::check_slice(desc_.tensors, bytes, 4, "tensors");
    detail::check_slice(desc_.ops, bytes, 0, "ops");
    detail::check_slice(desc_.weights, bytes, 8, "weights");
    detail::check_slice(desc_.kv_pools, bytes, 8, "kv_pools");
    detail::check_slice(desc_.bindings, bytes, sizeof(tsr_binding), "bindings");
    tensors_ = detail::slice_elements<tsr_tensor>(record, desc_.tensors).all();
    for (uint32_t i = 0; i < tensors_.size(); ++i) {
      detail::check_tensor(tensors_, i);
    }
    ops_ = detail::read_ops(record, desc_.ops);
    weights_ = detail::slice_elements<uint64_t>(record, desc_.weights).all();
    kv_pools_ = detail::slice_elements<uint64_t>(record, desc_.kv_pools).all();
    bindings_ =
        detail::slice_elements<tsr_binding>(record, desc_.bindings).all();
  }

  const tsr_program_desc& desc() const { return desc_; }
  const std::vector<tsr_tensor>& tensors() const { return tensors_; }
  const std::vector<OpRecord>& ops() const { return ops_; }
  const std::vector<uint64_t>& weights() const { return weights_; }
  const std::vector<uint64_t>& kv_pools() const { return kv_pools_; }
  const std::vector<tsr_binding>& bindings() const { return bindings_; }

 private:
  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  std::vector<OpRecord> ops_;
  std::vector<uint64_t> weights_;
  std::vector<uint64_t> kv_pools_;
  std::vector<tsr_binding> bindings_;
};

// A checked submission record.  Keeps pointers into it; allocates nothing.
class SubmissionView {
 public:
  // Throws INVALID_ARGUMENT for a malformed record.
  explicit SubmissionView(const tsr_submission* submission)
      : record_(submission),
        value_(
            read_struct<tsr_submission>(submission, submission->struct_size)) {
    const uint32_t bytes = value_.record_bytes;
    detail::require(value_.struct_size <= bytes,
                    "submission: record_bytes " + std::to_string(bytes));
    detail::check_slice(value_.waits, bytes, sizeof(tsr_point), "waits");
    detail::check_slice(value_.signals, bytes, sizeof(tsr_point), "signals");
    detail::check_slice(value_.bindings, bytes, sizeof(tsr_binding),
                        "bindings");
    detail::check_slice(value_.blocks, bytes, sizeof(tsr_block_pair), "blocks");
  }

  const tsr_submission& value() const { return value_; }
  Elements<tsr_point> waits() const {
    return elements<tsr_point>(value_.waits);
  }
  Elements<tsr_point> signals() const {
    return elements<tsr_point>(value_.signals);
  }
  Elements<tsr_binding> bindings() const {
    return elements<tsr_binding>(value_.bindings);
  }
  Elements<tsr_block_pair> blocks() const {
    return elements<tsr_block_pair>(value_.blocks);
  }

 private:
  template <typename Element>
  Elements<Element> elements(const tsr_slice& slice) const {
    return detail::slice_elements<Element>(record_, slice);
  }

  const void* record_;
  tsr_submission value_;
};

}  // namespace tessera
