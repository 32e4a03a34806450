// SPDX-License-Identifier: Apache-2.0
//
// What both attentions share: which rows and keys a work-item has, and reading
// the cache.  Compiled for HEAD_DIM, KV_FORMAT, HEADS (query heads that share a
// KV head, at most 8, of one work-item) and TOKENS (of one work-item).

#define KV_F32 1
#define KV_F16 2
#define KV_BF16 3
#define KV_I8_TOKEN 4
#define KV_I8_CHANNEL 5
#define KV_I8_HEAD 6

#define MASK_CAUSAL 0
#define MASK_FULL 1
#define MASK_SLIDING 2

#define VECTORS ((HEAD_DIM + 15) / 16)
#define PADDED_DIM (16 * VECTORS)
#define ROWS (HEADS * TOKENS)  // row r: token r / HEADS, head r % HEADS
#define KEYS 16                // of one step along the cache

static int lanes_of(int vector) { return min(HEAD_DIM - 16 * vector, 16); }

// The rows of a work-item.
typedef struct {
  int seq;
  int first_token;  // of the step
  int num_tokens;   // 0: nothing to do
  int position;     // of first_token in its sequence
  int seq_len;
} Part;

// Work-item `i` of the first dimension: tokens of one sequence, TOKENS at a
// time, sequence after sequence.
static Part find_part(const AttentionArgs* args, global const int* q_starts,
                      global const int* seq_lens, int i, global int* fault) {
  Part part;
  part.num_tokens = 0;
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

// 16 elements of a row of codes.
static float16 load_codes(global const uchar* row, int vector) {
  const int n = lanes_of(vector);
#if KV_FORMAT <= KV_BF16
  return load_row(row, KV_FORMAT, 16 * vector, n);
#else
  global const char* codes = (global const char*)row + 16 * vector;
  if (n >= 16) return convert_float16(vload16(0, codes));
  float lanes[16];
  for (int lane = 0; lane < 16; ++lane) {
    lanes[lane] = lane < n ? (float)codes[lane] : 0.0f;
  }
  return vload16(0, lanes);
#endif
}
