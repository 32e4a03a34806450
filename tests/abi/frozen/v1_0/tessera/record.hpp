// SPDX-License-Identifier: Apache-2.0
//
// tessera/record.hpp - reads programs and submissions: checks every offset
// once, then hands out values of today's structs whatever the writer's
// struct_size was.

#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/ops.h"

namespace tessera::sdk {

// Today's Struct from `bytes` readable bytes at `data`: what the writer did not
// know is zero.
template <typename Struct>
Struct read_struct(const void* data, size_t bytes) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct value{};
  std::memcpy(&value, data, bytes < sizeof(Struct) ? bytes : sizeof(Struct));
  return value;
}

namespace detail {

// Structs that may grow say their own size; numbers and "by value" structs do
// not.
template <typename Element, typename = void>
struct HasStructSize : std::false_type {};
template <typename Element>
struct HasStructSize<Element, std::void_t<decltype(Element::struct_size)>>
    : std::true_type {};

}  // namespace detail

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
    const char* place = data_ + size_t{index} * stride_;
    if constexpr (detail::HasStructSize<Element>::value) {
      const auto known = read_struct<uint32_t>(place, stride_);
      return read_struct<Element>(place, known < stride_ ? known : stride_);
    } else {
      return read_struct<Element>(place, stride_);
    }
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

[[noreturn]] inline void malformed(const std::string& message) {
  throw Error(TSR_INVALID_ARGUMENT, message);
}

// The first two words of every record, checked before anything else is read.
struct RecordHead {
  uint32_t struct_size;
  uint32_t record_bytes;
};

inline uint32_t record_bytes(const void* record, const char* what) {
  const auto head = read_struct<RecordHead>(record, sizeof(RecordHead));
  if (head.struct_size < sizeof(RecordHead) ||
      head.record_bytes < head.struct_size) {
    malformed(std::string(what) + ": struct_size " +
              std::to_string(head.struct_size) + ", record_bytes " +
              std::to_string(head.record_bytes));
  }
  return head.record_bytes;
}

// Checks that `slice` lies in a record of `record_bytes` and that its elements
// have at least `min_stride` bytes.
inline void check_slice(const tsr_slice& slice, uint32_t record_bytes,
                        uint32_t min_stride, const char* what) {
  if (slice.count == 0) return;
  const uint64_t end = uint64_t{slice.offset} + slice.bytes;
  if (slice.offset % 8 != 0) {
    malformed(std::string(what) + ": offset " + std::to_string(slice.offset) +
              " is not a multiple of 8");
  }
  if (end > record_bytes) {
    malformed(std::string(what) + ": ends at byte " + std::to_string(end) +
              " of a record of " + std::to_string(record_bytes));
  }
  if (slice.stride < min_stride) {
    malformed(std::string(what) + ": stride " + std::to_string(slice.stride) +
              " is less than " + std::to_string(min_stride));
  }
  if (uint64_t{slice.stride} * slice.count > slice.bytes) {
    malformed(std::string(what) + ": " + std::to_string(slice.count) +
              " elements of " + std::to_string(slice.stride) + " bytes in " +
              std::to_string(slice.bytes));
  }
}

template <typename Element>
Elements<Element> slice_elements(const void* record, const tsr_slice& slice) {
  return {static_cast<const char*>(record) + slice.offset, slice.count,
          slice.stride};
}

// Checks the tsr_record_ext payloads that fill [place, place + bytes).
inline void check_extensions(const char* place, uint32_t bytes,
                             const char* what) {
  while (bytes > 0) {
    if (bytes < sizeof(tsr_record_ext)) {
      malformed(std::string(what) + ": truncated extension");
    }
    const auto ext = read_struct<tsr_record_ext>(place, sizeof(tsr_record_ext));
    if (ext.struct_size < sizeof(tsr_record_ext) ||
        ext.record_bytes < ext.struct_size || ext.record_bytes % 8 != 0 ||
        ext.record_bytes > bytes) {
      malformed(std::string(what) + ": malformed extension");
    }
    if (std::memchr(ext.name, 0, sizeof(ext.name)) == nullptr) {
      malformed(std::string(what) + ": extension name without end");
    }
    place += ext.record_bytes;
    bytes -= ext.record_bytes;
  }
}

}  // namespace detail

// Checked tsr_record_ext payloads, one after another.
class Extensions {
 public:
  Extensions() = default;
  Extensions(const char* place, uint32_t bytes)
      : place_(place), bytes_(bytes) {}

  // Calls visit(extension, payload, payload_bytes) for each.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (uint32_t at = 0; at < bytes_;) {
      const auto head =
          read_struct<tsr_record_ext>(place_ + at, sizeof(tsr_record_ext));
      visit(head, place_ + at + head.struct_size,
            head.record_bytes - head.struct_size);
      at += head.record_bytes;
    }
  }
  // Stores the payload of the extension `name`; false if there is none.
  template <typename Payload>
  bool find(const char* name, Payload* out_payload) const {
    bool found = false;
    each([&](const tsr_record_ext& head, const char* payload, uint32_t bytes) {
      if (found || std::strcmp(head.name, name) != 0) return;
      *out_payload = read_struct<Payload>(payload, bytes);
      found = true;
    });
    return found;
  }

 private:
  const char* place_ = nullptr;
  uint32_t bytes_ = 0;
};

// One op of a program.
class OpRecord {
 public:
  explicit OpRecord(const void* data)
      : data_(static_cast<const char*>(data)),
        head_(read_struct<tsr_op>(data, sizeof(tsr_op))) {}

  uint32_t kind() const { return head_.kind; }
  uint32_t flags() const { return head_.flags; }
  template <typename Op>
  Op as() const {
    return read_struct<Op>(data_, head_.struct_size);
  }
  Extensions extensions() const {
    const uint32_t at = (head_.struct_size + 7) / 8 * 8;
    return {data_ + at, head_.record_bytes - at};
  }
  template <typename Visit>
  void each_extension(Visit&& visit) const {
    extensions().each(std::forward<Visit>(visit));
  }

 private:
  const char* data_;
  tsr_op head_;
};

// Elements from a tensor's first to its last at its maxima, gaps between rows
// included: what its memory must hold.
inline uint64_t tensor_span(const tsr_tensor& tensor) {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor.rank; ++d) rows *= tensor.dims[d].max;
  const uint64_t cols = tensor.dims[tensor.rank - 1].max;
  const uint64_t stride = tensor.row_stride == 0 ? cols : tensor.row_stride;
  return (rows - 1) * stride + cols;
}

namespace detail {

// Tensors of more elements are refused, so that products of sizes fit 64 bits.
inline constexpr uint64_t kMaxElements = UINT64_C(1) << 40;

inline std::vector<OpRecord> read_ops(const char* record,
                                      const tsr_slice& slice) {
  std::vector<OpRecord> ops;
  uint32_t at = 0;
  for (uint32_t i = 0; i < slice.count; ++i) {
    const std::string name = "op " + std::to_string(i);
    const char* place = record + slice.offset + at;
    const uint32_t left = slice.bytes - at;
    if (left < sizeof(tsr_op)) malformed(name + ": truncated");
    const auto head = read_struct<tsr_op>(place, sizeof(tsr_op));
    if (head.struct_size < sizeof(tsr_op) ||
        head.record_bytes < head.struct_size || head.record_bytes % 8 != 0 ||
        head.record_bytes > left) {
      malformed(name + ": struct_size " + std::to_string(head.struct_size) +
                ", record_bytes " + std::to_string(head.record_bytes));
    }
    const uint32_t body = (head.struct_size + 7) / 8 * 8;
    check_extensions(place + body, head.record_bytes - body, name.c_str());
    ops.emplace_back(place);
    at += head.record_bytes;
  }
  return ops;
}

// The largest value of a dimension that counts `symbol`; `max` if it is fixed.
inline uint32_t symbol_limit(const tsr_program_desc& desc, const tsr_dim& dim) {
  switch (dim.symbol) {
    case TSR_DIM_TOKENS:
      return desc.max_tokens;
    case TSR_DIM_SEQS:
      return desc.max_seqs;
    case TSR_DIM_SEQS_PLUS_ONE:
      return desc.max_seqs == UINT32_MAX ? UINT32_MAX : desc.max_seqs + 1;
    case TSR_DIM_OUTPUTS:
      return desc.max_outputs;
    default:
      return dim.max;
  }
}

// Checks that a tensor's dimensions hold every step the program allows, and
// that its span is a number of elements one can compute with.
inline void check_dims(const tsr_program_desc& desc, const tsr_tensor& tensor,
                       const std::string& name) {
  if (tensor.rank < 1 || tensor.rank > 4) {
    malformed(name + ": rank " + std::to_string(tensor.rank));
  }
  uint64_t elements = 1;
  for (uint32_t d = 0; d < tensor.rank; ++d) {
    const tsr_dim& dim = tensor.dims[d];
    if (dim.symbol > TSR_DIM_OUTPUTS) {
      malformed(name + ": dimension symbol " + std::to_string(dim.symbol));
    }
    if (dim.max == 0 || dim.max < symbol_limit(desc, dim)) {
      malformed(name + ": dimension of size " + std::to_string(dim.max) +
                " in a program of " + std::to_string(symbol_limit(desc, dim)));
    }
    elements *= dim.max;
    if (elements > kMaxElements) malformed(name + ": too large");
  }
  if (tensor.row_stride == 0) return;
  const uint64_t cols = tensor.dims[tensor.rank - 1].max;
  if (tensor.row_stride < cols) {
    malformed(name + ": rows of " + std::to_string(cols) + " elements every " +
              std::to_string(tensor.row_stride));
  }
  if (elements / cols > kMaxElements / tensor.row_stride) {
    malformed(name + ": too large");
  }
}

// A view reads its owner's memory: it must name an earlier tensor that is not a
// view itself, of the same dtype, and lie inside it.
inline void check_tensor(const tsr_program_desc& desc,
                         const std::vector<tsr_tensor>& tensors, uint32_t id) {
  const tsr_tensor& tensor = tensors[id];
  const std::string name = "tensor " + std::to_string(id);
  check_dims(desc, tensor, name);
  if (tensor.view_of == TSR_NONE) return;
  if (tensor.view_of >= id || tensors[tensor.view_of].view_of != TSR_NONE ||
      tensors[tensor.view_of].dtype != tensor.dtype) {
    malformed(name + ": bad view of tensor " + std::to_string(tensor.view_of));
  }
  const uint64_t end = tensor.view_offset + tensor_span(tensor);
  const uint64_t owner_span = tensor_span(tensors[tensor.view_of]);
  if (end > owner_span) {
    malformed(name + ": view ends at element " + std::to_string(end) + " of " +
              std::to_string(owner_span));
  }
}

}  // namespace detail

// A checked program record.  Keeps pointers into it.
class ProgramView {
 public:
  // Throws INVALID_ARGUMENT for a malformed record.
  explicit ProgramView(const tsr_program_desc* program) {
    const auto* record = reinterpret_cast<const char*>(program);
    const uint32_t bytes = detail::record_bytes(record, "program");
    desc_ = read_struct<tsr_program_desc>(record, program->struct_size);
    detail::check_slice(desc_.tensors, bytes, 4, "tensors");
    detail::check_slice(desc_.ops, bytes, 0, "ops");
    detail::check_slice(desc_.weights, bytes, 8, "weights");
    detail::check_slice(desc_.kv_pools, bytes, 8, "kv_pools");
    detail::check_slice(desc_.bindings, bytes, sizeof(tsr_binding), "bindings");
    detail::check_slice(desc_.extensions, bytes, 0, "extensions");
    tensors_ = detail::slice_elements<tsr_tensor>(record, desc_.tensors).all();
    for (uint32_t i = 0; i < tensors_.size(); ++i) {
      detail::check_tensor(desc_, tensors_, i);
    }
    ops_ = detail::read_ops(record, desc_.ops);
    weights_ = detail::slice_elements<uint64_t>(record, desc_.weights).all();
    kv_pools_ = detail::slice_elements<uint64_t>(record, desc_.kv_pools).all();
    bindings_ =
        detail::slice_elements<tsr_binding>(record, desc_.bindings).all();
    for (const tsr_binding& binding : bindings_) {
      if (binding.tensor >= tensors_.size()) {
        detail::malformed("binding of tensor " +
                          std::to_string(binding.tensor) + " of " +
                          std::to_string(tensors_.size()));
      }
    }
    if (desc_.extensions.count == 0) return;
    const char* place = record + desc_.extensions.offset;
    detail::check_extensions(place, desc_.extensions.bytes, "program");
    extensions_ = Extensions(place, desc_.extensions.bytes);
  }

  const tsr_program_desc& desc() const { return desc_; }
  const std::vector<tsr_tensor>& tensors() const { return tensors_; }
  const std::vector<OpRecord>& ops() const { return ops_; }
  const std::vector<uint64_t>& weights() const { return weights_; }
  const std::vector<uint64_t>& kv_pools() const { return kv_pools_; }
  const std::vector<tsr_binding>& bindings() const { return bindings_; }
  const Extensions& extensions() const { return extensions_; }

 private:
  tsr_program_desc desc_{};
  std::vector<tsr_tensor> tensors_;
  std::vector<OpRecord> ops_;
  std::vector<uint64_t> weights_;
  std::vector<uint64_t> kv_pools_;
  std::vector<tsr_binding> bindings_;
  Extensions extensions_;
};

// What a program is judged by before its objects exist.
struct ProgramQuestion {
  const ProgramView& program;
  std::vector<tsr_weight_desc> weights;
  std::vector<tsr_kv_desc> kv_pools;
};

// A checked submission record.  Keeps pointers into it; allocates nothing.
class SubmissionView {
 public:
  // Throws INVALID_ARGUMENT for a malformed record.
  explicit SubmissionView(const tsr_submission* submission)
      : record_(reinterpret_cast<const char*>(submission)) {
    const uint32_t bytes = detail::record_bytes(record_, "submission");
    value_ = read_struct<tsr_submission>(record_, submission->struct_size);
    detail::check_slice(value_.waits, bytes, sizeof(tsr_point), "waits");
    detail::check_slice(value_.signals, bytes, sizeof(tsr_point), "signals");
    detail::check_slice(value_.bindings, bytes, sizeof(tsr_binding),
                        "bindings");
    detail::check_slice(value_.blocks, bytes, sizeof(tsr_block_pair), "blocks");
    detail::check_slice(value_.extensions, bytes, 0, "extensions");
    if (value_.extensions.count == 0) return;
    detail::check_extensions(record_ + value_.extensions.offset,
                             value_.extensions.bytes, "submission");
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
  Extensions extensions() const {
    if (value_.extensions.count == 0) return {};
    return {record_ + value_.extensions.offset, value_.extensions.bytes};
  }

 private:
  template <typename Element>
  Elements<Element> elements(const tsr_slice& slice) const {
    return detail::slice_elements<Element>(record_, slice);
  }

  const char* record_;
  tsr_submission value_{};
};

// Throws INVALID_ARGUMENT if a step is larger than its program allows.
inline void check_step(const tsr_program_desc& program,
                       const tsr_submission& step) {
  const auto at_most = [](const char* what, uint32_t value, uint32_t max) {
    if (value <= max) return;
    detail::malformed(std::string("step: ") + what + " " +
                      std::to_string(value) + " of a program of " +
                      std::to_string(max));
  };
  at_most("num_tokens", step.num_tokens, program.max_tokens);
  at_most("num_seqs", step.num_seqs, program.max_seqs);
  at_most("num_outputs", step.num_outputs, program.max_outputs);
  at_most("num_decode_tokens", step.num_decode_tokens, step.num_tokens);
}

}  // namespace tessera::sdk
