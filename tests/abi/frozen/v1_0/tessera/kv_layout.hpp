// SPDX-License-Identifier: Apache-2.0
//
// tessera/kv_layout.hpp - where the parts of canonical KV blocks lie, which
// tessera/types.h draws.

#pragma once

#include <cstdint>
#include <string>

#include "tessera/error.hpp"
#include "tessera/types.h"

namespace tessera::sdk {

// Where the parts of a pool lie; kernels have the same struct.
struct KvPlace {
  uint64_t begin = 0;  // of the pool: an address, or an offset in a buffer
  uint64_t block_bytes = 0;
  uint64_t row_bytes = 0;  // of one head of one token
  uint64_t v_offset = 0;
  uint64_t k_scale_offset = 0;
  uint64_t v_scale_offset = 0;
  int32_t format = 0;
  int32_t num_kv_heads = 0;
  int32_t block_size = 0;
  int32_t num_blocks = 0;
};

namespace detail {

inline constexpr uint64_t kMaxPoolBytes = uint64_t{1} << 62;

// a * b, or more than any pool may have.
inline uint64_t kv_times(uint64_t a, uint64_t b) {
  return b != 0 && a > kMaxPoolBytes / b ? kMaxPoolBytes + 1 : a * b;
}

inline uint64_t align64(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

inline void check_kv_sizes(const tsr_kv_desc& desc) {
  const auto named = [](const char* name, uint32_t value) {
    return std::string(" ") + name + "=" + std::to_string(value);
  };
  const std::string sizes = named("num_kv_heads", desc.num_kv_heads) +
                            named("head_dim", desc.head_dim) +
                            named("block_size", desc.block_size) +
                            named("num_blocks", desc.num_blocks);
  if (desc.num_kv_heads == 0 || desc.head_dim == 0 || desc.block_size == 0 ||
      desc.num_blocks == 0) {
    throw Error(TSR_INVALID_ARGUMENT, "kv pool:" + sizes + ": none may be 0");
  }
  // Codes and scales of a token and head, K and V, padding included, take at
  // most 64 bytes per element.
  uint64_t bytes = kv_times(desc.num_kv_heads, desc.head_dim);
  bytes = kv_times(kv_times(bytes, desc.block_size), 64 * uint64_t{4});
  const uint64_t slots = kv_times(desc.block_size, desc.num_blocks);
  if (kv_times(bytes, desc.num_blocks) > kMaxPoolBytes || slots > INT32_MAX) {
    throw Error(TSR_INVALID_ARGUMENT, "kv pool:" + sizes + " is too large");
  }
}

}  // namespace detail

// Bytes of one code.  Throws INVALID_ARGUMENT for an unknown format.
inline uint32_t kv_code_bytes(uint32_t format) {
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
      throw Error(TSR_INVALID_ARGUMENT,
                  "kv pool: unknown format " + std::to_string(format));
  }
}

// Of a pool that begins at 0.
//
// Errors   throws INVALID_ARGUMENT for an unknown format, or sizes that are 0
//          or too large
inline KvPlace make_kv_place(const tsr_kv_desc& desc) {
  const uint64_t code_bytes = kv_code_bytes(desc.format);
  detail::check_kv_sizes(desc);
  KvPlace place;
  place.format = static_cast<int32_t>(desc.format);
  place.num_kv_heads = static_cast<int32_t>(desc.num_kv_heads);
  place.block_size = static_cast<int32_t>(desc.block_size);
  place.num_blocks = static_cast<int32_t>(desc.num_blocks);
  place.row_bytes = desc.head_dim * code_bytes;
  const uint64_t rows = uint64_t{desc.num_kv_heads} * desc.block_size;
  const uint64_t part = detail::align64(rows * place.row_bytes);
  place.v_offset = part;
  place.block_bytes = 2 * part;
  if (desc.format == TSR_KV_I8_TOKEN) {
    const uint64_t scales = detail::align64(rows * sizeof(float));
    place.k_scale_offset = place.block_bytes;
    place.v_scale_offset = place.k_scale_offset + scales;
    place.block_bytes = place.v_scale_offset + scales;
  }
  return place;
}

}  // namespace tessera::sdk
