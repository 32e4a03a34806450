// SPDX-License-Identifier: Apache-2.0
//
// Consecutive keys of one sequence and KV head, found through the block table.

#pragma once

#include "backends/cpu/kernels/attention/attention_work.hpp"

namespace tessera::cpu {

struct KeyTile {
  int64_t first;  // position of key 0
  int num_keys;
  // Codes of each key, head_dim of them; entries from num_keys on repeat the
  // last.
  const std::byte* k[kKeyTile];
  const std::byte* v[kKeyTile];
  // Keys that follow each other in a block.
  struct Run {
    int num_keys;
    const float* k_scale;  // I8_TOKEN only
    const float* v_scale;
  };
  int num_runs;
  Run runs[kKeyTile];
};

// Fills `out_tile` with keys first .. first + num_keys - 1.
[[maybe_unused]] static void find_keys(const AttentionWork& work, int64_t first,
                                       int num_keys, KeyTile* out_tile) {
  const KvLayout& kv = work.op->kv;
  const int32_t* table =
      work.op->block_table + work.seq * work.op->max_blocks_per_seq;
  out_tile->first = first;
  out_tile->num_keys = num_keys;
  out_tile->num_runs = 0;
  int64_t logical = first / kv.block_size;
  int64_t slot = first % kv.block_size;
  for (int i = 0; i < num_keys; ++logical, slot = 0) {
    const std::byte* block = work.op->pool + table[logical] * kv.block_bytes;
    const std::byte* codes = block + work.kv_head * kv.head_bytes;
    const int64_t scale =
        (work.kv_head * kv.block_size) * static_cast<int64_t>(sizeof(float));
    const auto* k_scale =
        reinterpret_cast<const float*>(block + kv.k_scale_offset + scale);
    const auto* v_scale =
        reinterpret_cast<const float*>(block + kv.v_scale_offset + scale);
    const int64_t left = kv.block_size - slot;
    const int count =
        left < num_keys - i ? static_cast<int>(left) : num_keys - i;
    out_tile->runs[out_tile->num_runs++] = {count, k_scale + slot,
                                            v_scale + slot};
    codes += slot * kv.row_bytes;
    for (const int end = i + count; i < end; ++i, codes += kv.row_bytes) {
      out_tile->k[i] = codes;
      out_tile->v[i] = codes + kv.v_offset;
    }
  }
  for (int i = num_keys; i < kKeyTile; ++i) {
    out_tile->k[i] = out_tile->k[num_keys - 1];
    out_tile->v[i] = out_tile->v[num_keys - 1];
  }
}

}  // namespace tessera::cpu
