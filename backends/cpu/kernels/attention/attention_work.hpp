// SPDX-License-Identifier: Apache-2.0
//
// What the attention driver hands to a kernel: one unit of work, and the table
// of kernels it chooses from.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/attention/attention.hpp"
#include "backends/cpu/kernels/isa.hpp"

namespace tessera::cpu {

// The rows of a sequence and KV head are its (token, query head of the group)
// pairs, token by token.  A unit has at most kRowTile of them and goes through
// its keys kKeyTile at a time.
constexpr int64_t kRowTile = 64;
constexpr int64_t kKeyTile = 64;

// Vectors are whole: rows of f32 scratch are padded to this many elements.
[[maybe_unused]] static constexpr int64_t padded_dim(int64_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}

// What a chunk of keys leaves for the combination, per row: padded_dim sums,
// then a maximum and a total; f32, or i32 in fa3.
[[maybe_unused]] static constexpr int64_t partial_row_words(int64_t head_dim) {
  return padded_dim(head_dim) + 16;
}

// Words of scratch that a kernel needs while it runs: queries, sums and packed
// keys or values (64 at a time in the integer kernels), scores and the rest.
[[maybe_unused]] static constexpr int64_t scratch_words(int64_t head_dim) {
  const int64_t dim = (head_dim + 63) / 64 * 64;
  return (2 * kRowTile + kKeyTile) * dim + kRowTile * (2 * kKeyTile + 160);
}

// KV heads that a unit of few rows may have.
constexpr int64_t kMostHeads = 8;

struct AttentionWork {
  const Attention* op = nullptr;
  float* scratch = nullptr;  // scratch_words, aligned to 64
  int64_t seq = 0;
  int64_t kv_head = 0;    // the first
  int64_t num_heads = 1;  // see rows_together
  int64_t row_begin = 0;  // in the rows of this sequence and KV head
  int64_t num_rows = 0;
  // The unit's part of the keys that its rows see; empty in a late chunk of an
  // early row tile.
  int64_t key_begin = 0;
  int64_t key_end = 0;
  // Chunks of the same rows: [num_chunks, num_rows, partial_row_words], aligned
  // to 64; unused if num_chunks is 1.
  // Those of the next KV head follow.
  float* partials = nullptr;
  int64_t chunk = 0;
  int64_t num_chunks = 1;
  // The unit that this thread may well have next, whose first keys are worth
  // fetching towards the end of this one; null if there is none.
  const AttentionWork* soon = nullptr;

  // The part of one of its heads.
  AttentionWork of_head(int64_t place) const {
    AttentionWork one = *this;
    one.kv_head += place;
    one.num_heads = 1;
    if (partials != nullptr) {
      one.partials +=
          place * num_chunks * num_rows * partial_row_words(op->kv.head_dim);
    }
    return one;
  }
};

// Keys that row `r` of the sequence sees: begin <= key < end.
struct VisibleKeys {
  int64_t begin = 0;
  int64_t end = 0;
};

struct AttentionKernel {
  const char* name;
  Isa isa;
  uint32_t kv_format;  // TSR_KV_*
  uint32_t dtypes;     // of q: mask of (1 << TSR_F32) ...
  // Integer kernels need the maximum over all chunks before they sum: `prepare`
  // leaves each chunk's.  Null if there is nothing to prepare.
  void (*prepare)(const AttentionWork& work);
  // Goes through the keys; writes `out`, or its chunk of the partials.
  void (*run)(const AttentionWork& work);
  // Writes `out` from the partials of all chunks, of one KV head.
  void (*combine)(const AttentionWork& work);
  // With up to so many rows a KV head, units may have kMostHeads of them.
  int64_t rows_together;
};

// All rows, best first within a format.
std::span<const AttentionKernel> attention_kernels();

// The first row for the format and the type of q that `best` can run; null if
// there is none.
const AttentionKernel* select_attention_kernel(uint32_t kv_format,
                                               uint32_t dtype, Isa best);

// Runs one kernel; see attention(), which chooses it.
void run_attention(const AttentionKernel& kernel, const Attention& op,
                   const AttentionWorkspace& workspace,
                   const Parallel& parallel);

}  // namespace tessera::cpu
