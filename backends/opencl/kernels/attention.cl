// SPDX-License-Identifier: Apache-2.0
//
// What all attentions share: which rows and keys a work-item or a group has.
// Compiled for HEAD_DIM, KV_FORMAT, HEADS (query heads that share a KV head, at
// most 8, of one item or group) and TOKENS (of one item or group).

#define KV_F32 1
#define KV_F16 2
#define KV_BF16 3
#define KV_I8_TOKEN 4
#define KV_I8_CHANNEL 5
#define KV_I8_HEAD 6

#define MASK_CAUSAL 0
#define MASK_FULL 1
#define MASK_SLIDING 2

#define ROWS (HEADS * TOKENS)  // row r: token r / HEADS, head r % HEADS
#ifndef KEYS
#define KEYS 16  // of one step along the cache
#endif

// The rows of a work-item, or of a group.
typedef struct {
  int seq;
  int first_token;  // of the step
  int num_tokens;   // 0: nothing to do
  int position;     // of first_token in its sequence
  int seq_len;
} Part;

// Number `i` of the first dimension: tokens of one sequence, TOKENS at a
// time, sequence after sequence.
static Part find_part(const AttentionArgs* args, global const int* q_starts,
                      global const int* seq_lens, int i, global int* fault) {
  Part part = {0, 0, 0, 0, 0};
  int before = 0;
  for (int s = 0; s < args->num_seqs; ++s) {
    const int q_len = q_starts[s + 1] - q_starts[s];
    const int parts = (q_len + TOKENS - 1) / TOKENS;
    if (q_len < 0 || q_starts[s] < 0 || q_starts[s + 1] > args->num_tokens ||
        (q_len > 0 && seq_lens[s] < q_len)) {
      report_fault(fault, FAULT_SEQUENCE, s);
      return part;
    }
    if (i - before < parts) {
      const int first = (i - before) * TOKENS;
      part.seq = s;
      part.first_token = q_starts[s] + first;
      part.num_tokens = min(TOKENS, q_len - first);
      part.position = seq_lens[s] - q_len + first;
      part.seq_len = seq_lens[s];
      return part;
    }
    before += parts;
  }
  return part;
}

// Keys begin .. end - 1.
typedef struct {
  int begin;
  int end;
} Keys;

// What a token at `position` sees.
static Keys visible_keys(const AttentionArgs* args, int position,
                         int seq_len) {
  Keys keys = {0, seq_len};
  if (args->mask == MASK_FULL) return keys;
  keys.end = position + 1;
  if (args->mask == MASK_SLIDING) {
    keys.begin = max(0, keys.end - args->window);
  }
  return keys;
}

// What the tokens of a part see together.
static Keys keys_of_part(const AttentionArgs* args, Part part) {
  Keys keys = visible_keys(args, part.position, part.seq_len);
  keys.end = visible_keys(args, part.position + part.num_tokens - 1,
                          part.seq_len)
                 .end;
  return keys;
}

// The first byte of a block; null, and a fault, if it is not in the pool.
static global const uchar* find_block(global const uchar* pool, KvPlace kv,
                                      const AttentionArgs* args,
                                      global const int* table, int key,
                                      global int* fault) {
  const int logical = key / kv.block_size;
  if (logical >= args->max_blocks_per_seq) {
    report_fault(fault, FAULT_SEQUENCE, logical);
    return 0;
  }
  const int block = table[logical];
  if (block < 0 || block >= kv.num_blocks) {
    report_fault(fault, FAULT_BLOCK, block);
    return 0;
  }
  return pool + kv.offset + block * kv.block_bytes;
}

// Keys of a step: rows of one block, of one KV head.
typedef struct {
  int key;    // the first; none are left where it is the end
  int count;  // at most KEYS
  long row;   // of the first in its block
  global const uchar* block;  // null after a fault
} KeyStep;

static KeyStep find_step(global const uchar* pool, KvPlace kv,
                         const AttentionArgs* args, global const int* table,
                         int kv_head, int key, int end, global int* fault) {
  KeyStep step = {key, 0, 0, pool};
  if (key >= end) return step;
  const int slot = key % kv.block_size;
  step.count = min(min(kv.block_size - slot, KEYS), end - key);
  step.row = (long)kv_head * kv.block_size + slot;
  step.block = find_block(pool, kv, args, table, key, fault);
  return step;
}
