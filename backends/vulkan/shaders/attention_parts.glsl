// SPDX-License-Identifier: Apache-2.0
//
// Attention in blocks: a work-group has HEADS query heads of one KV head, of
// TOKENS tokens of one sequence.  Row r is head r % HEADS of token r / HEADS.

layout(constant_id = 2) const uint HEADS = 1u;
layout(constant_id = 3) const uint TOKENS = 1u;
layout(constant_id = 4) const uint HEAD_DIM = 1u;
layout(constant_id = 5) const uint BLOCK_SIZE = 1u;

const uint ROWS = HEADS * TOKENS;
#define MAX_ROWS 8

struct Part {
  int seq;
  int first_token;
  int num_tokens;  // 0: nothing to do
  int position;    // of the first token, in its sequence
  int seq_len;
};

// The part that this work-group has.
Part find_part() {
  int index = int(gl_WorkGroupID.x);
  Part part = Part(0, 0, 0, 0, 0);
  for (int s = 0; s < args.num_seqs; ++s) {
    const int first = I32s(args.q_starts).v[s];
    const int last = I32s(args.q_starts).v[s + 1];
    const int seq_len = I32s(args.seq_lens).v[s];
    if (first < 0 || last < first || last > args.num_tokens ||
        (last > first && seq_len < last - first) ||
        seq_len > args.max_blocks_per_seq * args.kv.block_size) {
      report_fault(args.fault, FAULT_SEQUENCE, s);
      return Part(0, 0, 0, 0, 0);
    }
    const int parts = (last - first + int(TOKENS) - 1) / int(TOKENS);
    if (index < parts) {
      part.seq = s;
      part.first_token = first + index * int(TOKENS);
      part.num_tokens = min(int(TOKENS), last - part.first_token);
      part.position = seq_len - (last - part.first_token);
      part.seq_len = seq_len;
      return part;
    }
    index -= parts;
  }
  return part;
}

// Of the KV head's query heads, the first of this work-group and their number.
int head_ratio() { return args.num_q_heads / args.kv.num_kv_heads; }
int head_chunks() { return (head_ratio() + int(HEADS) - 1) / int(HEADS); }
int kv_head_index() { return int(gl_WorkGroupID.y) / head_chunks(); }
int first_head() {
  return kv_head_index() * head_ratio() +
         int(gl_WorkGroupID.y) % head_chunks() * int(HEADS);
}
int num_heads() {
  return min(int(HEADS),
             head_ratio() - int(gl_WorkGroupID.y) % head_chunks() * int(HEADS));
}

// Where this work-group's queries are: element d of row r at r * HEAD_DIM + d.
int query_block() {
  return int((gl_WorkGroupID.x * gl_NumWorkGroups.y + gl_WorkGroupID.y) *
             HEAD_DIM * ROWS);
}

// FA3: where a query head's pairs of floats are, DISTANCES of them: that of code
// k has thresholds k and k + 1.
#define DISTANCES 128
int distance_block(int head) {
  return min(head, args.num_q_heads - 1) * DISTANCES;
}
