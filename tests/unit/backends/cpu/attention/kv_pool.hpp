// SPDX-License-Identifier: Apache-2.0
//
// A KV pool for tests, addressed as tessera/types.h draws the canonical block,
// independently of the kernels' own arithmetic.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "backends/cpu/kernels/attention/kv_layout.hpp"
#include "tests/unit/backends/cpu/ops/matrix.hpp"

namespace tessera::cpu {

// Memory aligned to 64 bytes, followed by guard bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes)
      : bytes_(bytes), storage_(bytes + 2 * kGuardBytes, kGuard) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    offset_ = (64 - address % 64) % 64;
  }
  std::byte* data() {
    return reinterpret_cast<std::byte*>(storage_.data() + offset_);
  }
  const std::byte* data() const {
    return reinterpret_cast<const std::byte*>(storage_.data() + offset_);
  }
  size_t size() const { return bytes_; }
  void expect_guard_intact() const {
    for (size_t i = offset_ + bytes_; i < storage_.size(); ++i) {
      ASSERT_EQ(storage_[i], kGuard) << i - offset_ - bytes_ << " past the end";
    }
  }

 private:
  static constexpr size_t kGuardBytes = 128;
  static constexpr uint8_t kGuard = 0xa5;
  size_t bytes_;
  size_t offset_;
  std::vector<uint8_t> storage_;
};

inline tsr_kv_desc kv_desc(uint32_t format, int64_t num_kv_heads,
                           int64_t head_dim, int64_t block_size,
                           int64_t num_blocks) {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format;
  desc.num_kv_heads = static_cast<uint32_t>(num_kv_heads);
  desc.head_dim = static_cast<uint32_t>(head_dim);
  desc.block_size = static_cast<uint32_t>(block_size);
  desc.num_blocks = static_cast<uint32_t>(num_blocks);
  return desc;
}

struct KvPlace {
  int64_t block;
  bool is_value;  // V, not K
  int64_t head;
  int64_t slot;
};

class TestPool {
 public:
  // Filled with 0xff: NaN in every float type, -1 as a code.
  explicit TestPool(const tsr_kv_desc& desc)
      : layout_(make_kv_layout(desc)),
        bytes_(static_cast<size_t>(layout_.block_bytes * layout_.num_blocks)) {
    std::memset(bytes_.data(), 0xff, bytes_.size());
  }
  TestPool(const TestPool&) = delete;
  TestPool& operator=(const TestPool&) = delete;

  const KvLayout& layout() const { return layout_; }
  std::byte* data() { return bytes_.data(); }
  const std::byte* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  void expect_guard_intact() const { bytes_.expect_guard_intact(); }

  // Stores x, rounded to the pool's type; a code must be an integer.
  void set_code(const KvPlace& p, int64_t d, float x) {
    std::byte* part = data() + code_part(p);
    const int64_t i = code_index(p, d);
    if (layout_.dtype == TSR_F32) {
      std::memcpy(part + 4 * i, &x, 4);
    } else if (layout_.dtype == TSR_I8) {
      part[i] = static_cast<std::byte>(static_cast<int8_t>(x));
    } else {
      const uint16_t half =
          layout_.dtype == TSR_F16 ? f16_from_f32(x) : bf16_from_f32(x);
      std::memcpy(part + 2 * i, &half, 2);
    }
  }
  float code(const KvPlace& p, int64_t d) const {
    return read_element(data() + code_part(p), layout_.dtype, code_index(p, d));
  }

  // I8_TOKEN only.
  void set_scale(const KvPlace& p, float scale) {
    std::memcpy(data() + scale_at(p), &scale, 4);
  }
  float scale(const KvPlace& p) const {
    float scale = 0.0f;
    std::memcpy(&scale, data() + scale_at(p), 4);
    return scale;
  }

 private:
  static int64_t align64(int64_t n) { return (n + 63) / 64 * 64; }
  int64_t code_part_bytes() const {
    return align64(layout_.num_kv_heads * layout_.block_size *
                   layout_.head_dim * element_bytes(layout_.dtype));
  }
  int64_t code_part(const KvPlace& p) const {
    return p.block * layout_.block_bytes + (p.is_value ? code_part_bytes() : 0);
  }
  int64_t code_index(const KvPlace& p, int64_t d) const {
    return (p.head * layout_.block_size + p.slot) * layout_.head_dim + d;
  }
  int64_t scale_at(const KvPlace& p) const {
    const int64_t part = align64(layout_.num_kv_heads * layout_.block_size * 4);
    return p.block * layout_.block_bytes + 2 * code_part_bytes() +
           (p.is_value ? part : 0) + 4 * (p.head * layout_.block_size + p.slot);
  }

  KvLayout layout_;
  AlignedBytes bytes_;
};

}  // namespace tessera::cpu
