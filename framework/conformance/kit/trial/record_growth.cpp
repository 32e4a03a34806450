// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/record_growth.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tessera/ops.h"

namespace tessera::conformance {
namespace {

constexpr std::byte kJunk{0xdb};

// Writes a record anew behind a head of another size.
class Rewriter {
 public:
  Rewriter(std::span<const std::byte> record, size_t head_bytes,
           const RecordGrowth& growth)
      : record_(record), growth_(growth) {
    out_.assign(record.begin(),
                record.begin() + static_cast<std::ptrdiff_t>(head_bytes));
    out_.insert(out_.end(), growth.head, kJunk);
    pad();
  }

  // Element by element; `growth` more bytes of junk behind each.
  void copy_slice(size_t at, uint32_t growth) {
    tsr_slice slice = read(at);
    if (slice.count == 0) return;
    const uint32_t stride = slice.stride;
    const std::byte* from = record_.data() + slice.offset;
    slice.offset = static_cast<uint32_t>(out_.size());
    slice.stride = stride + growth;
    for (uint32_t i = 0; i < slice.count; ++i) {
      out_.insert(out_.end(), from + size_t{i} * stride,
                  from + size_t{i + 1} * stride);
      out_.insert(out_.end(), growth, kJunk);
    }
    slice.bytes = static_cast<uint32_t>(out_.size()) - slice.offset;
    write(at, slice);
    pad();
  }
  // Elements that begin with a struct_size.
  void copy_structs(size_t at, uint32_t growth) {
    copy_slice(at, growth);
    const tsr_slice slice = read(at);
    for (uint32_t i = 0; i < slice.count; ++i) {
      add_to(slice.offset + i * slice.stride, growth);
    }
  }

  void copy_ops(size_t at) {
    tsr_slice slice = read(at);
    const std::byte* from = record_.data() + slice.offset;
    slice.offset = static_cast<uint32_t>(out_.size());
    for (uint32_t i = 0; i < slice.count; ++i) {
      tsr_op head{};
      std::memcpy(&head, from, sizeof(head));
      const size_t begin = out_.size();
      out_.insert(out_.end(), from, from + head.struct_size);
      out_.insert(out_.end(), growth_.ops, kJunk);
      pad();
      if (growth_.op_extension && i == 0) append_extension();
      from += head.record_bytes;
      head.struct_size += growth_.ops;
      head.record_bytes = static_cast<uint32_t>(out_.size() - begin);
      std::memcpy(&out_[begin], &head, sizeof(head));
    }
    slice.bytes = static_cast<uint32_t>(out_.size()) - slice.offset;
    write(at, slice);
  }

  void add_extension(size_t at) {
    if (!growth_.extension) return;
    tsr_slice slice{};
    slice.offset = static_cast<uint32_t>(out_.size());
    slice.count = 1;
    append_extension();
    slice.bytes = static_cast<uint32_t>(out_.size()) - slice.offset;
    write(at, slice);
  }

  // Fills in the sizes; `last` is where the head's last field begins.
  std::vector<std::byte> finish(uint32_t head_bytes, size_t last) {
    uint32_t known = head_bytes + growth_.head;
    if (growth_.shortened) {
      known = static_cast<uint32_t>(last);
      std::fill(out_.begin() + static_cast<std::ptrdiff_t>(last),
                out_.begin() + static_cast<std::ptrdiff_t>(head_bytes), kJunk);
    }
    const uint32_t sizes[] = {known, static_cast<uint32_t>(out_.size())};
    std::memcpy(out_.data(), sizes, sizeof(sizes));
    return std::move(out_);
  }

 private:
  tsr_slice read(size_t at) const {
    tsr_slice slice{};
    std::memcpy(&slice, &out_[at], sizeof(slice));
    return slice;
  }
  void write(size_t at, const tsr_slice& slice) {
    std::memcpy(&out_[at], &slice, sizeof(slice));
  }
  void add_to(size_t at, uint32_t bytes) {
    uint32_t size = 0;
    std::memcpy(&size, &out_[at], sizeof(size));
    size += bytes;
    std::memcpy(&out_[at], &size, sizeof(size));
  }
  void pad() { out_.resize((out_.size() + 7) / 8 * 8); }

  void append_extension() {
    tsr_record_ext ext{};
    ext.struct_size = sizeof(ext);
    ext.record_bytes = sizeof(ext) + 8;
    ext.flags = growth_.extension_flags;
    std::snprintf(ext.name, sizeof(ext.name), "com.example.unheard_of");
    const auto* bytes = reinterpret_cast<const std::byte*>(&ext);
    out_.insert(out_.end(), bytes, bytes + sizeof(ext));
    out_.insert(out_.end(), 8, kJunk);
  }

  std::span<const std::byte> record_;
  const RecordGrowth& growth_;
  std::vector<std::byte> out_;
};

}  // namespace

std::vector<std::byte> grown_program(std::span<const std::byte> record,
                                     const RecordGrowth& growth) {
  Rewriter rewriter(record, sizeof(tsr_program_desc), growth);
  rewriter.copy_structs(offsetof(tsr_program_desc, tensors), growth.elements);
  rewriter.copy_ops(offsetof(tsr_program_desc, ops));
  rewriter.copy_slice(offsetof(tsr_program_desc, weights), growth.elements);
  rewriter.copy_slice(offsetof(tsr_program_desc, kv_pools), growth.elements);
  rewriter.copy_slice(offsetof(tsr_program_desc, bindings), growth.elements);
  rewriter.add_extension(offsetof(tsr_program_desc, extensions));
  return rewriter.finish(sizeof(tsr_program_desc),
                         offsetof(tsr_program_desc, extensions));
}

std::vector<std::byte> grown_submission(std::span<const std::byte> record,
                                        const RecordGrowth& growth) {
  Rewriter rewriter(record, sizeof(tsr_submission), growth);
  rewriter.copy_slice(offsetof(tsr_submission, waits), growth.elements);
  rewriter.copy_slice(offsetof(tsr_submission, signals), growth.elements);
  rewriter.copy_slice(offsetof(tsr_submission, bindings), growth.elements);
  rewriter.copy_slice(offsetof(tsr_submission, blocks), growth.elements);
  rewriter.add_extension(offsetof(tsr_submission, extensions));
  return rewriter.finish(sizeof(tsr_submission),
                         offsetof(tsr_submission, extensions));
}

}  // namespace tessera::conformance
