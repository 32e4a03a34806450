// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/function/attention/kv_pool.hpp"

#include <string>

#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr uint64_t kMaxPoolBytes = uint64_t{1} << 62;

int64_t code_bytes(uint32_t format) {
  switch (format) {
    case TSR_KV_F32:
      return 4;
    case TSR_KV_F16:
    case TSR_KV_BF16:
      return 2;
    case TSR_KV_I8_TOKEN:
    case TSR_KV_I8_CHANNEL:
    case TSR_KV_I8_HEAD:
      return 1;
    default:
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "kv pool: unknown format " + std::to_string(format));
  }
}

// a * b, or more than any pool may have.
uint64_t times(uint64_t a, uint64_t b) {
  return b != 0 && a > kMaxPoolBytes / b ? kMaxPoolBytes + 1 : a * b;
}

void check_sizes(const tsr_kv_desc& desc) {
  const auto refuse = [&](const char* why) {
    throw sdk::Error(
        TSR_INVALID_ARGUMENT,
        "kv pool: num_kv_heads=" + std::to_string(desc.num_kv_heads) +
            " head_dim=" + std::to_string(desc.head_dim) +
            " block_size=" + std::to_string(desc.block_size) +
            " num_blocks=" + std::to_string(desc.num_blocks) + ": " + why);
  };
  if (desc.num_kv_heads == 0 || desc.head_dim == 0 || desc.block_size == 0 ||
      desc.num_blocks == 0) {
    refuse("none may be 0");
  }
  // Codes and scales of an element take at most 64 bytes, padding included,
  // and there are four parts.
  uint64_t bytes = times(desc.num_kv_heads, desc.head_dim);
  bytes = times(times(bytes, desc.block_size), 256);
  if (times(bytes, desc.num_blocks) > kMaxPoolBytes) refuse("too large");
}

int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

KvLayout make_kv_layout(const tsr_kv_desc& desc) {
  KvLayout layout;
  layout.format = desc.format;
  layout.code_bytes = code_bytes(desc.format);
  check_sizes(desc);
  layout.num_kv_heads = desc.num_kv_heads;
  layout.head_dim = desc.head_dim;
  layout.v_dim = desc.head_dim;
  layout.block_size = desc.block_size;
  layout.num_blocks = desc.num_blocks;
  const int64_t slots = layout.num_kv_heads * layout.block_size;
  layout.v_offset = align64(slots * layout.head_dim * layout.code_bytes);
  layout.k_scale_offset = 2 * layout.v_offset;
  layout.v_scale_offset = layout.k_scale_offset;
  layout.block_bytes = layout.k_scale_offset;
  if (layout.format == TSR_KV_I8_TOKEN) {
    const int64_t scales = align64(slots * int64_t{sizeof(float)});
    layout.v_scale_offset += scales;
    layout.block_bytes += 2 * scales;
  }
  return layout;
}

std::byte* KvPool::codes(KvPart part, int64_t slot, int64_t head) const {
  const int64_t block = slot / layout.block_size;
  const int64_t row = head * layout.block_size + slot % layout.block_size;
  const bool in_keys = part == KvPart::kKey || layout.v_in_k;
  return data + block * layout.block_bytes + (in_keys ? 0 : layout.v_offset) +
         row * (in_keys ? layout.head_dim : layout.v_dim) * layout.code_bytes;
}

std::byte* KvPool::token_scale(KvPart part, int64_t slot, int64_t head) const {
  const int64_t block = slot / layout.block_size;
  const int64_t row = head * layout.block_size + slot % layout.block_size;
  return data + block * layout.block_bytes +
         (part == KvPart::kKey || layout.v_in_k ? layout.k_scale_offset
                                                : layout.v_scale_offset) +
         row * int64_t{sizeof(float)};
}

int64_t KvPool::static_scale_index(KvPart part, int64_t head) const {
  const bool in_keys = part == KvPart::kKey || layout.v_in_k;
  const bool by_channel = layout.format == TSR_KV_I8_CHANNEL;
  const int64_t first =
      in_keys ? 0 : layout.num_kv_heads * (by_channel ? layout.head_dim : 1);
  if (!by_channel) return first + head;
  return first + head * (in_keys ? layout.head_dim : layout.v_dim);
}

}  // namespace tessera::npu
