// SPDX-License-Identifier: Apache-2.0
//
// Sizes of KV blocks, and copies of whole ones.

#include "backends/cpu/kernels/attention/kv_layout.hpp"

#include <cstring>
#include <string>

#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

constexpr uint64_t kMaxPoolBytes = uint64_t{1} << 62;

uint32_t code_dtype(uint32_t format) {
  switch (format) {
    case TSR_KV_F32:
      return TSR_F32;
    case TSR_KV_F16:
      return TSR_F16;
    case TSR_KV_BF16:
      return TSR_BF16;
    case TSR_KV_I8_TOKEN:
    case TSR_KV_I8_CHANNEL:
    case TSR_KV_I8_HEAD:
      return TSR_I8;
    default:
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "kv pool: unknown format " + std::to_string(format));
  }
}

// a * b, or more than any pool may have.
uint64_t times(uint64_t a, uint64_t b) {
  return b != 0 && a > kMaxPoolBytes / b ? kMaxPoolBytes + 1 : a * b;
}

int64_t align64(uint64_t bytes) {
  return static_cast<int64_t>((bytes + 63) / 64 * 64);
}

void check_sizes(const tsr_kv_desc& desc) {
  const auto check = [](const char* name, uint32_t value) {
    if (value == 0) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       std::string("kv pool: ") + name + " is 0");
    }
  };
  check("num_kv_heads", desc.num_kv_heads);
  check("head_dim", desc.head_dim);
  check("block_size", desc.block_size);
  check("num_blocks", desc.num_blocks);
  // Codes and scales of a token and head, K and V, padding included, take at
  // most 64 bytes per element.
  uint64_t bytes = times(desc.num_kv_heads, desc.head_dim);
  bytes = times(times(bytes, desc.block_size), 64 * uint64_t{4});
  if (times(bytes, desc.num_blocks) > kMaxPoolBytes) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "kv pool: num_kv_heads=" + std::to_string(desc.num_kv_heads) +
            " head_dim=" + std::to_string(desc.head_dim) +
            " block_size=" + std::to_string(desc.block_size) +
            " num_blocks=" + std::to_string(desc.num_blocks) + " is too large");
  }
}

void check_block(const char* which, uint32_t block, int64_t num_blocks) {
  if (block >= num_blocks) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("kv copy: ") + which + " block " +
                         std::to_string(block) + " is not in the pool of " +
                         std::to_string(num_blocks));
  }
}

}  // namespace

KvLayout make_kv_layout(const tsr_kv_desc& desc) {
  KvLayout layout;
  layout.format = desc.format;
  layout.dtype = code_dtype(desc.format);
  check_sizes(desc);
  layout.num_kv_heads = desc.num_kv_heads;
  layout.head_dim = desc.head_dim;
  layout.block_size = desc.block_size;
  layout.num_blocks = desc.num_blocks;

  const int64_t code_bytes =
      layout.dtype == TSR_F32 ? 4 : (layout.dtype == TSR_I8 ? 1 : 2);
  layout.row_bytes = layout.head_dim * code_bytes;
  layout.head_bytes = layout.block_size * layout.row_bytes;
  const int64_t part =
      align64(static_cast<uint64_t>(layout.num_kv_heads * layout.head_bytes));
  layout.v_offset = part;
  layout.block_bytes = 2 * part;
  if (desc.format == TSR_KV_I8_TOKEN) {
    const int64_t scales =
        align64(uint64_t{desc.num_kv_heads} * desc.block_size * sizeof(float));
    layout.k_scale_offset = layout.block_bytes;
    layout.v_scale_offset = layout.k_scale_offset + scales;
    layout.block_bytes = layout.v_scale_offset + scales;
  }
  return layout;
}

void kv_copy(const KvLayout& layout, const KvPool& src, const KvPool& dst,
             const tsr_block_pair* pairs, int64_t num_pairs) {
  for (int64_t i = 0; i < num_pairs; ++i) {
    check_block("source", pairs[i].src, src.num_blocks);
    check_block("destination", pairs[i].dst, dst.num_blocks);
  }
  for (int64_t i = 0; i < num_pairs; ++i) {
    const std::byte* from = src.data + pairs[i].src * layout.block_bytes;
    std::byte* to = dst.data + pairs[i].dst * layout.block_bytes;
    if (from != to) {
      std::memcpy(to, from, static_cast<size_t>(layout.block_bytes));
    }
  }
}

}  // namespace tessera::cpu
