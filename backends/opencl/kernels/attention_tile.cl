// SPDX-License-Identifier: Apache-2.0
//
// Float attention: a work-group walks the cache once for its rows and keeps
// their running maximum, sum and output.
// Source: Milakov and Gimelshein, arXiv:1805.02867, section 3 (running maximum
// and sum).

// q times the softmax scale, and times K's scales where they are per channel.
static void load_queries(const AttentionArgs* args, Part part, int head,
                         int kv_head, global const uchar* q, RowPlace place,
                         global const float* kv_scale, local Shared* shared) {
  const int count = part.num_tokens == 0 ? 0 : ROWS * HEAD_DIM;
  for (int i = get_local_id(0); i < count; i += GROUP) {
    const int r = i / HEAD_DIM;
    const int d = i % HEAD_DIM;
    const long row = token_of(part, r) * place.stride +
                     (long)head_of(args, head, r) * HEAD_DIM;
    float x = load_one(q + place.offset, place.dtype, row + d) * args->scale;
#if KV_FORMAT == KV_I8_CHANNEL
    x = x * kv_scale[(long)kv_head * HEAD_DIM + d];
#endif
    shared->q[r][d] = x;
  }
}

// Scores become weights, V's scales included; the state moves to the new maxima.
// Every work-item comes here.
static void weigh_keys(KeyStep step, KvPlace kv, local Shared* shared) {
  const int item = get_local_id(0);
  if (item < ROWS) {
    float top = shared->tops[item];
    for (int key = 0; key < KEYS; ++key) {
      top = fmax(top, shared->weights[item][key]);
    }
    // A row that sees nothing yet keeps its state, which is 0.
    const float base = top == -INFINITY ? 0.0f : top;
    shared->factors[item] =
        portable_exp((float16)(shared->tops[item] - base)).s0;
    shared->tops[item] = top;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < ROWS * KEYS; i += GROUP) {
    const float top = shared->tops[i / KEYS];
    const float base = top == -INFINITY ? 0.0f : top;
    shared->weights[i / KEYS][i % KEYS] =
        portable_exp((float16)(shared->weights[i / KEYS][i % KEYS] - base)).s0;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item < ROWS) {
    float sum = shared->totals[item] * shared->factors[item];
    for (int key = 0; key < KEYS; ++key) sum += shared->weights[item][key];
    shared->totals[item] = sum;
  }
#if KV_FORMAT == KV_I8_TOKEN
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < ROWS * KEYS; i += GROUP) {
    if (i % KEYS >= step.count) continue;
    shared->weights[i / KEYS][i % KEYS] *= ((
        global const float*)(step.block +
                             kv.v_scale_offset))[step.row + i % KEYS];
  }
#endif
  barrier(CLK_LOCAL_MEM_FENCE);
}

static void store_rows(const AttentionArgs* args, Part part, int head,
                       int num_heads, int kv_head, int num_kv_heads,
                       private const float* sums, local const Shared* shared,
                       global uchar* out, RowPlace place,
                       global const float* kv_scale) {
  for (int r = 0; r < ROWS; ++r) {
    if (r / HEADS >= part.num_tokens || r % HEADS >= num_heads) continue;
    const long row = (part.first_token + r / HEADS) * place.stride +
                     (long)(head + r % HEADS) * HEAD_DIM;
    for (int c = 0; c < COLUMNS; ++c) {
      const int i = get_local_id(0) + c * GROUP;
      if (i >= HEAD_DIM) continue;
      float x = divide(sums[r * COLUMNS + c], shared->totals[r]);
#if KV_FORMAT == KV_I8_CHANNEL
      x = x * kv_scale[(long)(num_kv_heads + kv_head) * HEAD_DIM + i];
#endif
      store_one(out + place.offset, place.dtype, row + i, x);
    }
  }
}

WHOLE_GROUP kernel void attention(
    global const uchar* q_base, RowPlace q_place, global uchar* out_base,
    RowPlace out_place, global const uchar* pool, KvPlace kv,
    global const uchar* q_starts, global const uchar* seq_lens,
    global const uchar* block_table, global const uchar* kv_scale_base,
    AttentionArgs args, global int* fault) {
  local Shared shared;
  const Part part = find_part(
      &args, (global const int*)(q_starts + args.q_starts_offset),
      (global const int*)(seq_lens + args.seq_lens_offset), get_group_id(0),
      fault);
  const int ratio = args.num_q_heads / kv.num_kv_heads;
  const int chunks = (ratio + HEADS - 1) / HEADS;
  const int kv_head = get_group_id(1) / chunks;
  const int chunk = get_group_id(1) % chunks;
  const int head = kv_head * ratio + chunk * HEADS;
  global const float* kv_scale =
      (global const float*)(kv_scale_base + args.kv_scale_offset);
  global const int* table =
      (global const int*)(block_table + args.block_table_offset) +
      (long)part.seq * args.max_blocks_per_seq;

  float sums[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; ++i) sums[i] = 0.0f;
  load_queries(&args, part, head, kv_head, q_base, q_place, kv_scale, &shared);
  if (get_local_id(0) < ROWS) {
    shared.tops[get_local_id(0)] = -INFINITY;
    shared.totals[get_local_id(0)] = 0.0f;
  }
  const Keys keys = keys_of_group(&args, part);
  KeyStep step = find_step(pool, kv, &args, table, kv_head, keys.begin,
                           keys.end, fault);
  while (step.block != 0 && step.count > 0) {
    multiply_keys(&args, part, step, kv, &shared);
    weigh_keys(step, kv, &shared);
    add_values(step, kv, &shared, sums);
    step = find_step(pool, kv, &args, table, kv_head, step.key + step.count,
                     keys.end, fault);
  }
  if (step.block == 0) return;
  store_rows(&args, part, head, min(HEADS, ratio - chunk * HEADS), kv_head,
             kv.num_kv_heads, sums, &shared, out_base, out_place, kv_scale);
}
