// SPDX-License-Identifier: Apache-2.0
//
// The block layouts of types.h, code by code.

#include "backends/cpu/kernels/linear/format_codes.hpp"

#include <cstring>

#include "backends/cpu/kernels/linear/weight_planes.hpp"

namespace tessera::cpu {
namespace {

uint8_t byte_at(const std::byte* block, int64_t offset) {
  return std::to_integer<uint8_t>(block[offset]);
}

// Blocks of 32: code j in the low nibble of byte j, code j + 16 in the high
// one; the fifth bit of code j is bit j of `high`.
void split_nibbles(const std::byte* qs, uint32_t high, uint8_t* out) {
  for (int j = 0; j < 16; ++j) {
    const uint32_t pair = byte_at(qs, j);
    out[j] = static_cast<uint8_t>((pair & 15U) | (high >> j & 1U) << 4);
    out[j + 16] =
        static_cast<uint8_t>(pair >> 4 | (high >> (j + 16) & 1U) << 4);
  }
}

// Q4_K, and Q5_K whose fifth bits are qh[32]; null in Q4_K.
void split_superblock(const std::byte* qh, const std::byte* qs, uint8_t* out) {
  for (int j = 0; j < 8; ++j, out += 32) {
    const std::byte* pairs = qs + ptrdiff_t{32} * (j / 2);
    const int shift = 4 * (j % 2);
    for (int l = 0; l < 32; ++l) {
      const int high = qh == nullptr ? 0 : (byte_at(qh, l) >> j & 1) << 4;
      out[l] = static_cast<uint8_t>((byte_at(pairs, l) >> shift & 15) | high);
    }
  }
}

void split_q6_k(const std::byte* block, uint8_t* out) {
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int k = i % 128 / 32;
    const int l = i % 32;
    const int low = byte_at(block, 64 * half + 32 * (k % 2) + l);
    const int high = byte_at(block, 128 + 32 * half + l);
    out[i] = static_cast<uint8_t>((low >> (k < 2 ? 0 : 4) & 15) |
                                  (high >> (2 * k) & 3) << 4);
  }
}

void split_block(uint32_t format, const std::byte* block, uint8_t* out) {
  switch (format) {
    case TSR_WEIGHT_Q5_0:
      return split_nibbles(block + 6, load_as<uint32_t>(block + 2, 0), out);
    case TSR_WEIGHT_Q5_1:
      return split_nibbles(block + 8, load_as<uint32_t>(block + 4, 0), out);
    case TSR_WEIGHT_Q4_1:
      return split_nibbles(block + 4, 0, out);
    case TSR_WEIGHT_Q8_0:
      std::memcpy(out, block + 2, 32);
      return;
    case TSR_WEIGHT_Q4_K:
      return split_superblock(nullptr, block + 16, out);
    case TSR_WEIGHT_Q5_K:
      return split_superblock(block + 16, block + 48, out);
    case TSR_WEIGHT_Q6_K:
      return split_q6_k(block, out);
    default:  // Q4_0 and IQ4_NL
      return split_nibbles(block + 2, 0, out);
  }
}

}  // namespace

void read_codes(uint32_t format, const std::byte* row, int64_t K,
                uint8_t* out) {
  if (const GgufBlock* block = find_gguf_block(format)) {
    for (int64_t k = 0; k < K; k += block->values, row += block->bytes) {
      split_block(format, row, out + k);
    }
    return;
  }
  if (format == TSR_WEIGHT_F8E4M3 || format == TSR_WEIGHT_F8E5M2) {
    std::memcpy(out, row, static_cast<size_t>(K));
    return;
  }
  for (int64_t k = 0; k < K; ++k) {
    const int pair = byte_at(row, k / 2);
    out[k] = static_cast<uint8_t>(k % 2 == 0 ? pair & 15 : pair >> 4);
  }
}

BlockParts block_parts(uint32_t format) {
  const GgufBlock& block = *find_gguf_block(format);
  BlockParts parts{block.values, block.bytes, 0, -1, -1};
  switch (format) {
    case TSR_WEIGHT_Q4_1:
    case TSR_WEIGHT_Q5_1:
      parts.min = 2;
      break;
    case TSR_WEIGHT_Q4_K:
    case TSR_WEIGHT_Q5_K:
      parts.min = 2;
      parts.codes = 4;
      break;
    case TSR_WEIGHT_Q6_K:
      parts.scale = 208;
      parts.codes = 192;
      break;
    default:
      break;
  }
  return parts;
}

}  // namespace tessera::cpu
