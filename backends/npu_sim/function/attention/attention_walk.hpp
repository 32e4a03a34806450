// SPDX-License-Identifier: Apache-2.0
//
// Which queries see which keys, and where a sequence's keys lie.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/function/attention/attention.hpp"

namespace tessera::npu {

// Consecutive tokens of one sequence under one KV head: a unit of work.
struct QueryBlock {
  int64_t seq = 0;
  int64_t kv_head = 0;
  int64_t first_token = 0;  // in the step
  int64_t num_tokens = 0;
  int64_t first_position = 0;  // of first_token in its sequence
};

struct KeyRange {
  int64_t begin;
  int64_t end;
};

constexpr int64_t kTokensPerBlock = 16;

// Errors   as attention().
void check_attention(const AttentionStep& op);

// All blocks of a step, in an order that depends on its shape alone.
std::vector<QueryBlock> query_blocks(const AttentionStep& op);

// Keys that the token at `position` sees.
KeyRange visible_keys(const AttentionStep& op, int64_t seq, int64_t position);

// Keys that any token of the block sees.
KeyRange visible_keys(const AttentionStep& op, const QueryBlock& block);

// The slot of a key.
int64_t slot_of(const AttentionStep& op, int64_t seq, int64_t key);

}  // namespace tessera::npu
