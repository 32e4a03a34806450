// SPDX-License-Identifier: Apache-2.0
//
// Products of rows with keys and of weights with V, by the work-items of a
// group, which share q, the keys of a step and their weights in local memory.

#define COLUMNS ((HEAD_DIM + GROUP - 1) / GROUP)  // of V, of a work-item

typedef struct {
  float q[ROWS][HEAD_DIM];
  float keys[KEYS][HEAD_DIM + 1];  // the odd width keeps banks apart
  float weights[ROWS][KEYS];       // scores before
  float tops[ROWS];
  float factors[ROWS];  // of the state before a step
  float totals[ROWS];
} Shared;

// Code i of a row.
static float load_code(global const uchar* row, int i) {
#if KV_FORMAT <= KV_BF16
  return load_one(row, KV_FORMAT, i);
#else
  return (float)((global const char*)row)[i];
#endif
}

// Row r of the group: its token of the step, and its head.
static int token_of(Part part, int r) {
  return part.first_token + min(r / HEADS, part.num_tokens - 1);
}
static int head_of(const AttentionArgs* args, int head, int r) {
  return min(head + r % HEADS, args->num_q_heads - 1);
}

// None for a group without rows.
static Keys keys_of_group(const AttentionArgs* args, Part part) {
  const Keys none = {0, 0};
  return part.num_tokens == 0 ? none : keys_of_part(args, part);
}

static bool sees(const AttentionArgs* args, Part part, int r, int key) {
  const Keys seen =
      visible_keys(args, part.position + min(r / HEADS, part.num_tokens - 1),
                   part.seq_len);
  return key >= seen.begin && key < seen.end;
}

// weights = products of all rows with the keys of a step, -INFINITY for those
// that a row does not see.  Every work-item comes here.
static void multiply_keys(const AttentionArgs* args, Part part, KeyStep step,
                          KvPlace kv, local Shared* shared) {
  global const uchar* codes = step.block + step.row * kv.row_bytes;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int key = 0; key < step.count; ++key) {
    for (int i = get_local_id(0); i < HEAD_DIM; i += GROUP) {
      shared->keys[key][i] = load_code(codes + key * kv.row_bytes, i);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = get_local_id(0); i < ROWS * KEYS; i += GROUP) {
    const int r = i / KEYS;
    const int key = i % KEYS;
    float sum = -INFINITY;
    if (key < step.count && sees(args, part, r, step.key + key)) {
      sum = 0.0f;
      for (int d = 0; d < HEAD_DIM; ++d) {
        sum = fma(shared->q[r][d], shared->keys[key][d], sum);
      }
#if KV_FORMAT == KV_I8_TOKEN
      sum *= ((global const float*)(step.block +
                                    kv.k_scale_offset))[step.row + key];
#endif
    }
    shared->weights[r][key] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

// Work-item i has columns i, i + GROUP, ... of each row.
static void add_values(KeyStep step, KvPlace kv, local const Shared* shared,
                       private float* sums) {
  global const uchar* codes =
      step.block + kv.v_offset + step.row * kv.row_bytes;
  for (int r = 0; r < ROWS; ++r) {
    for (int c = 0; c < COLUMNS; ++c) {
      sums[r * COLUMNS + c] *= shared->factors[r];
    }
  }
  for (int key = 0; key < step.count; ++key) {
    for (int c = 0; c < COLUMNS; ++c) {
      const int i = get_local_id(0) + c * GROUP;
      if (i >= HEAD_DIM) continue;
      const float v = load_code(codes + key * kv.row_bytes, i);
      for (int r = 0; r < ROWS; ++r) {
        sums[r * COLUMNS + c] =
            fma(shared->weights[r][key], v, sums[r * COLUMNS + c]);
      }
    }
  }
}
