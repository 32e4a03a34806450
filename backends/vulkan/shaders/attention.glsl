// SPDX-License-Identifier: Apache-2.0
//
// What both attentions share: a work-group has one query head of one token and
// walks the cache 64 keys at a time.

#include "attention_args.glsl"

#define MAX_DIM 512
#define MAX_PARTS 8  // MAX_DIM / GROUP

// Elements of a row, and keys, that an iteration takes: few iterations are a
// matter of MOST_ITERATIONS.
#define DOT_STEP 16
#define KEY_STEP 8

shared float query[MAX_DIM];

// The sequence of a token and the keys it sees; end 0: nothing to do.
struct Part {
  int seq;
  int begin;
  int end;
};

Part find_part(int token) {
  Part part = Part(0, 0, 0);
  for (int s = 0; s < args.num_seqs; ++s) {
    const int first = I32s(args.q_starts).v[s];
    const int last = I32s(args.q_starts).v[s + 1];
    const int seq_len = I32s(args.seq_lens).v[s];
    if (first < 0 || last < first || last > args.num_tokens ||
        (last > first && seq_len < last - first) ||
        seq_len > args.max_blocks_per_seq * args.kv.block_size) {
      if (gl_LocalInvocationIndex == 0u) {
        report_fault(args.fault, FAULT_SEQUENCE, s);
      }
      return Part(0, 0, 0);
    }
    if (token < first || token >= last) continue;
    part.seq = s;
    part.end = seq_len;
    if (args.mask == MASK_FULL) return part;
    part.end = seq_len - (last - token) + 1;
    if (args.mask == MASK_SLIDING) part.begin = max(0, part.end - args.window);
    return part;
  }
  return part;
}

// False, and a fault, where `passes` over a part's keys may take more iterations
// than the driver allows.
bool may_walk(Part part, int passes) {
  if (MOST_ITERATIONS == 0u) return true;
  const int dots = (args.head_dim % 4 == 0 ? args.head_dim / DOT_STEP
                                           : args.head_dim) + 1;
  const int values = (args.head_dim + int(GROUP) - 1) / int(GROUP) *
                     (int(GROUP) / KEY_STEP + 1);
  const int others = 16;  // of rounds, and to find a probability's code
  const int rounds = (part.end - part.begin) / int(GROUP) + 1;
  const int most = (int(MOST_ITERATIONS) - args.num_seqs - 4 * others) /
                   (passes * dots + values + others);
  if (rounds <= most) return true;
  if (gl_LocalInvocationIndex == 0u) {
    report_fault(args.fault, FAULT_LENGTH, part.seq);
  }
  return false;
}

// The address of K's row of a key, and which of the pool's rows it is; 0, and a
// fault, if it is not in the pool.
uint64_t find_row(int seq, int key, int kv_head, out uint64_t row) {
  const int logical = key / args.kv.block_size;
  const int index = I32s(args.block_table +
                         uint64_t(seq) * uint64_t(args.max_blocks_per_seq) *
                             4ul).v[logical];
  if (index < 0 || index >= args.kv.num_blocks) {
    report_fault(args.fault, FAULT_BLOCK, index);
    return 0ul;
  }
  row = (uint64_t(kv_head) * uint64_t(args.kv.num_blocks) + uint64_t(index)) *
            uint64_t(args.kv.block_size) +
        uint64_t(key % args.kv.block_size);
  return args.kv.address + row * args.kv.row_bytes;
}

float code_at(uint64_t row, int i) {
  if (KV_FORMAT <= KV_BF16) return load_one(row, int(KV_FORMAT), i);
  return float(load_byte(row + i));
}

// Codes i .. i + 3, where the head has a multiple of four.
vec4 codes_at(uint64_t row, int i) {
  if (KV_FORMAT == KV_F32) return F32x4s(row).v[i / 4];
  if (KV_FORMAT <= KV_BF16) {
    const uvec2 pair = U32x2s(row).v[i / 4];
    if (KV_FORMAT == KV_BF16) {
      return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u,
                                   pair.y << 16, pair.y & 0xffff0000u));
    }
    return vec4(f16_to_f32(pair.x & 0xffffu), f16_to_f32(pair.x >> 16),
                f16_to_f32(pair.y & 0xffffu), f16_to_f32(pair.y >> 16));
  }
  const int bits = I32s(row).v[i / 4];
  return vec4(ivec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8),
                    bitfieldExtract(bits, 16, 8), bits >> 24));
}

// query . the codes of a row.
float dot_query(uint64_t row) {
  if (args.head_dim % 4 != 0) {
    float sum = 0.0;
    for (int i = 0; i < args.head_dim; ++i) sum += query[i] * code_at(row, i);
    return sum;
  }
  vec4 sum = vec4(0.0);
  int begin = 0;
  do {
    [[unroll]] for (int j = 0; j < DOT_STEP; j += 4) {
      const int i = begin + j;
      if (i < args.head_dim) {
        sum += codes_at(row, i) *
               vec4(query[i], query[i + 1], query[i + 2], query[i + 3]);
      }
    }
  } while ((begin += DOT_STEP) < args.head_dim);
  return (sum.x + sum.y) + (sum.z + sum.w);
}
