// SPDX-License-Identifier: Apache-2.0
//
// Integer attention by a work-group: the row maximum first, over all keys, then
// codes of probabilities and exact sums.

// s8 codes of q as f32, and whether a row is finite; every work-item comes here.
static void quantize_queries(const AttentionArgs* args, Part part, int head,
                             global const uchar* q, RowPlace place,
                             global const float* q_inv, local float* partial,
                             local Shared* shared, private float* poison) {
  const int count = part.num_tokens == 0 ? 0 : HEAD_DIM;
  for (int r = 0; r < ROWS; ++r) {
    const int h = head_of(args, head, r);
    const long row =
        token_of(part, r) * place.stride + (long)h * HEAD_DIM;
    float bad = 0.0f;
    for (int i = get_local_id(0); i < count; i += GROUP) {
      const float x = load_one(q + place.offset, place.dtype, row + i);
      bad = bad + (x - x);
      shared->q[r][i] =
          x == x ? rint(clamp(x * q_inv[h], -127.0f, 127.0f)) : 0.0f;
    }
    poison[r] = group_sum(bad, partial);
  }
}

static void raise_tops(local Shared* shared) {
  const int r = get_local_id(0);
  if (r >= ROWS) return;
  float top = shared->tops[r];
  for (int key = 0; key < KEYS; ++key) top = fmax(top, shared->weights[r][key]);
  shared->tops[r] = top;
}

// In pass 1, scores become codes, which are added to the totals; every work-item
// comes here.
static void code_keys(const AttentionArgs* args, int head, int pass,
                      global const int* thresholds, local Shared* shared,
                      local int* totals) {
  const int item = get_local_id(0);
  const int count = pass == 0 ? 0 : ROWS * KEYS;
  for (int i = item; i < count; i += GROUP) {
    const int r = i / KEYS;
    const float score = shared->weights[r][i % KEYS];
    float code = 0.0f;
    if (score != -INFINITY) {
      global const int* limits = thresholds + head_of(args, head, r) * 127;
      const int distance = (int)(shared->tops[r] - score);
      code = (float)probability_code(
          limits, distance, guess_codes(limits, (int16)(distance)).s0);
    }
    shared->weights[r][i % KEYS] = code;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item >= ROWS || pass == 0) return;
  int total = totals[item];
  for (int key = 0; key < KEYS; ++key) total += (int)shared->weights[item][key];
  totals[item] = total;
}

// Adds the f32 sums to the integer ones, and clears them.
static void fold_sums(private float* sums, private int* integers) {
  for (int i = 0; i < ROWS * COLUMNS; ++i) {
    integers[i] += (int)sums[i];
    sums[i] = 0.0f;
  }
}

WHOLE_GROUP kernel void attention_fa3(
    global const uchar* q_base, RowPlace q_place, global uchar* out_base,
    RowPlace out_place, global const uchar* pool, KvPlace kv,
    global const uchar* q_starts, global const uchar* seq_lens,
    global const uchar* block_table, global const uchar* kv_scale_base,
    AttentionArgs args, global int* fault, global const uchar* q_inv_base,
    global const uchar* thresholds_base) {
  local Shared shared;
  local float partial[GROUP];
  local int totals[ROWS];
  const int item = get_local_id(0);
  const Part part = find_part(
      &args, (global const int*)(q_starts + args.q_starts_offset),
      (global const int*)(seq_lens + args.seq_lens_offset), get_group_id(0),
      fault);
  const int ratio = args.num_q_heads / kv.num_kv_heads;
  const int chunks = (ratio + HEADS - 1) / HEADS;
  const int kv_head = get_group_id(1) / chunks;
  const int chunk = get_group_id(1) % chunks;
  const int head = kv_head * ratio + chunk * HEADS;
  const int num_heads = min(HEADS, ratio - chunk * HEADS);
  global const int* table =
      (global const int*)(block_table + args.block_table_offset) +
      (long)part.seq * args.max_blocks_per_seq;
  Keys keys = keys_of_group(&args, part);
  if (keys.end - keys.begin > MAX_INTEGER_KEYS) {
    report_fault(fault, FAULT_SEQUENCE, part.seq);
    keys.end = keys.begin;
  }
  float poison[ROWS];
  float sums[ROWS * COLUMNS];
  int integers[ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; ++i) {
    sums[i] = 0.0f;
    integers[i] = 0;
  }
  quantize_queries(&args, part, head, q_base, q_place,
                   (global const float*)(q_inv_base + args.q_inv_offset),
                   partial, &shared, poison);
  if (item < ROWS) {
    shared.tops[item] = -INFINITY;
    shared.factors[item] = 1.0f;
    totals[item] = 0;
  }
  // Both passes in one loop: PoCL 3.1 loses what a second one shares.
  int pass = 0;
  KeyStep step = find_step(pool, kv, &args, table, kv_head, keys.begin,
                           keys.end, fault);
  for (int i = 1; step.block != 0 && step.count > 0; ++i) {
    multiply_keys(&args, part, step, kv, &shared);
    if (pass == 0) raise_tops(&shared);
    code_keys(&args, head, pass,
              (global const int*)(thresholds_base + args.thresholds_offset),
              &shared, totals);
    if (pass == 1) add_values(step, kv, &shared, sums);
    if (i % EXACT_STEPS == 0) fold_sums(sums, integers);
    const int next = step.key + step.count;
    const bool is_first_end = pass == 0 && next >= keys.end;
    pass = is_first_end ? 1 : pass;
    step = find_step(pool, kv, &args, table, kv_head,
                     is_first_end ? keys.begin : next, keys.end, fault);
  }
  fold_sums(sums, integers);
  barrier(CLK_LOCAL_MEM_FENCE);
  const float scale_v = ((global const float*)(
      kv_scale_base + args.kv_scale_offset))[kv.num_kv_heads + kv_head];
  for (int r = 0; r < ROWS; ++r) {
    if (r / HEADS >= part.num_tokens || r % HEADS >= num_heads) continue;
    const float factor = divide(scale_v, (float)totals[r]);
    const long at = (part.first_token + r / HEADS) * out_place.stride +
                    (long)(head + r % HEADS) * HEAD_DIM;
    for (int c = 0; c < COLUMNS; ++c) {
      const int i = item + c * GROUP;
      if (i >= HEAD_DIM) continue;
      const float x = (float)integers[r * COLUMNS + c] * factor;
      store_one(out_base + out_place.offset, out_place.dtype, at + i,
                poison[r] != 0.0f ? NAN : x);
    }
  }
}
