// SPDX-License-Identifier: Apache-2.0
//
// What the mutant computes, in plain loops, each with the faults that kernels
// of its kind have had.

#pragma once

#include <cstdint>
#include <vector>

#include "elements.hpp"
#include "tessera/ops.h"
#include "weight.hpp"

namespace mutant {

struct LinearWork {
  const MutantWeight* weight;
  uint64_t M;
  uint64_t num_decode_tokens;
  uint32_t n_begin;
  uint32_t n_end;
  tsr_op_linear op;
  Rows x;
  Rows y;
  Rows multiplier;
  Rows residual;
  const float* bias;  // null if absent
};
void linear(const LinearWork& work, const tsr_host_services& host);

// A pool in canonical blocks.
struct Pool {
  tsr_kv_desc desc{};
  std::shared_ptr<tessera::sdk::HostBuffer> buffer;
  char* memory = nullptr;

  uint64_t part_bytes() const;   // K or V codes of a block
  uint64_t scale_bytes() const;  // K or V scales of a block
  uint64_t block_bytes() const;
  char* codes(bool value, uint64_t slot, uint32_t head) const;
  char* scale(bool value, uint64_t slot, uint32_t head) const;
  float read(bool value, uint64_t slot, uint32_t head, uint32_t i) const;
};

struct AttentionWork {
  tsr_op_attention op;
  Pool pool;
  uint64_t num_seqs;
  uint64_t max_blocks;
  Rows q;
  Rows out;
  const int32_t* q_starts;
  const int32_t* seq_lens;
  const int32_t* block_table;
};
void attention(const AttentionWork& work);

struct AppendWork {
  tsr_op_kv_append op;
  Pool pool;
  uint64_t num_tokens;
  Rows k;
  Rows v;
  const int32_t* slots;
  const int32_t* positions;  // null without rotation, like table
  const float* table;
};
void kv_append(const AppendWork& work);

struct RowWork {
  uint32_t kind;
  uint64_t rows;
  uint32_t N;
  uint32_t heads;   // rope: rows of a token
  float parameter;  // eps or scale
  Rows a;
  Rows b;  // or the norm's weight
  Rows y;
  const int32_t* ids;  // positions, or rows of the table
  const float* table;
  uint32_t table_rows;
  uint32_t style;
  uint32_t rotary_dim;
};
void row_op(const RowWork& work);

// Rotates one head in place.
void rotate(float* head, const float* angles, uint32_t rotary, uint32_t style);

}  // namespace mutant
