// SPDX-License-Identifier: Apache-2.0
//
// A pool: K, V and their scales, each [num_kv_heads, num_blocks, block_size]
// rows; see kv_pool.hpp.

#define KV_F32 1
#define KV_F16 2
#define KV_BF16 3
#define KV_I8_TOKEN 4
#define KV_I8_CHANNEL 5
#define KV_I8_HEAD 6

struct KvRows {
  uint64_t address;
  uint64_t row_bytes;  // of one head of one token
  uint64_t v_offset;
  uint64_t k_scale_offset;
  uint64_t v_scale_offset;
  int format;
  int num_kv_heads;
  int block_size;
  int num_blocks;
};
