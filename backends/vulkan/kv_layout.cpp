// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/kv_layout.hpp"

#include <string>

#include "tessera/error.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint64_t kMaxPoolBytes = uint64_t{1} << 62;

// a * b, or more than any pool may have.
uint64_t times(uint64_t a, uint64_t b) {
  return b != 0 && a > kMaxPoolBytes / b ? kMaxPoolBytes + 1 : a * b;
}

uint64_t align64(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

void check_sizes(const tsr_kv_desc& desc) {
  const auto named = [](const char* name, uint32_t value) {
    return std::string(" ") + name + "=" + std::to_string(value);
  };
  const std::string sizes = named("num_kv_heads", desc.num_kv_heads) +
                            named("head_dim", desc.head_dim) +
                            named("block_size", desc.block_size) +
                            named("num_blocks", desc.num_blocks);
  if (desc.num_kv_heads == 0 || desc.head_dim == 0 || desc.block_size == 0 ||
      desc.num_blocks == 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "kv pool:" + sizes + ": none may be 0");
  }
  // Codes and scales of a token and head, K and V, padding included, take at
  // most 64 bytes per element.
  uint64_t bytes = times(desc.num_kv_heads, desc.head_dim);
  bytes = times(times(bytes, desc.block_size), 64 * uint64_t{4});
  const uint64_t slots = times(desc.block_size, desc.num_blocks);
  if (times(bytes, desc.num_blocks) > kMaxPoolBytes || slots > INT32_MAX) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "kv pool:" + sizes + " is too large");
  }
}

}  // namespace

uint32_t kv_code_bytes(uint32_t format) {
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

KvPlace make_kv_place(const tsr_kv_desc& desc) {
  const uint64_t code_bytes = kv_code_bytes(desc.format);
  check_sizes(desc);
  KvPlace place;
  place.format = static_cast<int32_t>(desc.format);
  place.num_kv_heads = static_cast<int32_t>(desc.num_kv_heads);
  place.block_size = static_cast<int32_t>(desc.block_size);
  place.num_blocks = static_cast<int32_t>(desc.num_blocks);
  place.row_bytes = desc.head_dim * code_bytes;
  const uint64_t rows = uint64_t{desc.num_kv_heads} * desc.block_size;
  const uint64_t part = align64(rows * place.row_bytes);
  place.v_offset = part;
  place.block_bytes = 2 * part;
  if (desc.format == TSR_KV_I8_TOKEN) {
    const uint64_t scales = align64(rows * sizeof(float));
    place.k_scale_offset = place.block_bytes;
    place.v_scale_offset = place.k_scale_offset + scales;
    place.block_bytes = place.v_scale_offset + scales;
  }
  return place;
}

}  // namespace tessera::vulkan
