// SPDX-License-Identifier: Apache-2.0
//
// Integer attention, bit for bit as numerics.md section 2: the row maximum
// first, over all keys, then codes of probabilities and exact sums.

// s8 codes of q as f32, and whether a row is finite.
static void quantize_queries(const AttentionArgs* args, Part part, int head,
                             global const uchar* q, RowPlace place,
                             global const float* q_inv, private float* out,
                             private float* poison) {
  for (int r = 0; r < ROWS; ++r) {
    const int token = part.first_token + min(r / HEADS, part.num_tokens - 1);
    const int h = min(head + r % HEADS, args->num_q_heads - 1);
    const long row = token * place.stride + (long)h * HEAD_DIM;
    float16 bad = (float16)(0.0f);
    for (int v = 0; v < VECTORS; ++v) {
      const float16 x =
          load_row(q + place.offset, place.dtype, row + 16 * v, lanes_of(v));
      bad = bad + (x - x);
      vstore16(rint(clamp(x * q_inv[h], -127.0f, 127.0f)), r * VECTORS + v,
               out);
    }
    poison[r] = sum_lanes(bad);
    for (int v = 0; v < VECTORS && poison[r] != 0.0f; ++v) {
      vstore16((float16)(0.0f), r * VECTORS + v, out);
    }
  }
}

// What a row sees of a step; 512 * 127 * 127 < 2^24, so that f32 holds scores
// exactly.
static float16 visible_scores(const AttentionArgs* args, Part part,
                              KeyStep step, int r,
                              private const float* scores) {
  const int token = min(r / HEADS, part.num_tokens - 1);
  const Keys seen = visible_keys(args, part.position + token, part.seq_len);
  return keep_visible(vload16(r, scores), seen, step);
}

static void raise_tops(const AttentionArgs* args, Part part, KeyStep step,
                       private const float* scores, private float* tops) {
  for (int r = 0; r < ROWS; ++r) {
    tops[r] = fmax(tops[r], max_lane(visible_scores(args, part, step, r,
                                                    scores)));
  }
}

// Scores become codes.  A lane's sum of codes is below 2^24: exact.
static void code_keys(const AttentionArgs* args, Part part, KeyStep step,
                      int head, private float* scores,
                      private const float* tops,
                      global const int* thresholds, private float16* totals) {
  for (int r = 0; r < ROWS; ++r) {
    const int h = min(head + r % HEADS, args->num_q_heads - 1);
    const float16 seen = visible_scores(args, part, step, r, scores);
    const int16 is_seen = seen != -INFINITY;
    const int16 distances =
        convert_int16(select((float16)(0.0f), tops[r] - seen, is_seen));
    const int16 guesses = guess_codes(thresholds + h * 127, distances);
    int far[KEYS];
    int codes[KEYS];
    vstore16(distances, 0, far);
    vstore16(guesses, 0, codes);
    for (int i = 0; i < KEYS; ++i) {
      codes[i] = probability_code(thresholds + h * 127, far[i], codes[i]);
    }
    const float16 p = select((float16)(0.0f),
                             convert_float16(vload16(0, codes)), is_seen);
    totals[r] += p;
    vstore16(p, r, scores);
  }
}

// Adds the f32 sums to the integer ones, and clears them.
static void fold_sums(private float* sums, private int* integers) {
  for (int i = 0; i < ROWS * VECTORS; ++i) {
    const int16 sum = convert_int16(vload16(i, sums));
    vstore16(vload16(i, integers) + sum, i, integers);
    vstore16((float16)(0.0f), i, sums);
  }
}

static int sum_integers(float16 lanes) {
  const int16 v = convert_int16(lanes);
  const int8 a = v.lo + v.hi;
  const int4 b = a.lo + a.hi;
  return b.s0 + b.s1 + b.s2 + b.s3;
}

ONE_ITEM kernel void attention_fa3(
    global const uchar* q_base, RowPlace q_place, global uchar* out_base,
    RowPlace out_place, global const uchar* pool, KvPlace kv,
    global const uchar* q_starts, global const uchar* seq_lens,
    global const uchar* block_table, global const uchar* kv_scale_base,
    AttentionArgs args, global int* fault, global const uchar* q_inv_base,
    global const uchar* thresholds_base) {
  const Part part = find_part(
      &args, (global const int*)(q_starts + args.q_starts_offset),
      (global const int*)(seq_lens + args.seq_lens_offset), get_global_id(0),
      fault);
  if (part.num_tokens == 0) return;
  const int ratio = args.num_q_heads / kv.num_kv_heads;
  const int chunks = (ratio + HEADS - 1) / HEADS;
  const int kv_head = get_global_id(1) / chunks;
  const int chunk = get_global_id(1) % chunks;
  const int head = kv_head * ratio + chunk * HEADS;
  const int num_heads = min(HEADS, ratio - chunk * HEADS);
  global const float* kv_scale =
      (global const float*)(kv_scale_base + args.kv_scale_offset);
  global const float* q_inv =
      (global const float*)(q_inv_base + args.q_inv_offset);
  global const int* thresholds =
      (global const int*)(thresholds_base + args.thresholds_offset);
  global const int* table =
      (global const int*)(block_table + args.block_table_offset) +
      (long)part.seq * args.max_blocks_per_seq;
  const Keys keys = keys_of_part(&args, part);
  if (keys.end - keys.begin > MAX_INTEGER_KEYS) {
    report_fault(fault, FAULT_SEQUENCE, part.seq);
    return;
  }

  float q[ROWS * PADDED_DIM];
  float poison[ROWS];
  float sums[ROWS * PADDED_DIM];
  int integers[ROWS * PADDED_DIM];
  float weights[ROWS * KEYS];
  float tops[ROWS];
  float ones[ROWS];
  float16 totals[ROWS];
  quantize_queries(&args, part, head, q_base, q_place, q_inv, q, poison);
  for (int r = 0; r < ROWS; ++r) {
    tops[r] = -INFINITY;
    ones[r] = 1.0f;
    totals[r] = (float16)(0.0f);
    for (int v = 0; v < VECTORS; ++v) {
      vstore16((float16)(0.0f), r * VECTORS + v, sums);
      vstore16((int16)(0), r * VECTORS + v, integers);
    }
  }
  for (int pass = 0; pass < 2; ++pass) {
    KeyStep step = find_step(pool, kv, &args, table, kv_head, keys.begin,
                             keys.end, fault);
    for (int i = 1; step.block != 0 && step.count > 0; ++i) {
      const KeyStep next = find_step(pool, kv, &args, table, kv_head,
                                     step.key + step.count, keys.end, fault);
      global const uchar* codes = step.block + step.row * kv.row_bytes;
      global const uchar* coming = next.block + next.row * kv.row_bytes;
      multiply_keys(codes, kv, step.count, q, weights, coming);
      if (pass == 0) {
        raise_tops(&args, part, step, weights, tops);
      } else {
        code_keys(&args, part, step, head, weights, tops, thresholds, totals);
        add_values(codes + kv.v_offset, kv, step.count, weights, ones, sums,
                   coming + kv.v_offset);
        if (i % EXACT_STEPS == 0) fold_sums(sums, integers);
      }
      step = next;
    }
    if (step.block == 0) return;
  }
  fold_sums(sums, integers);
  const float scale_v = kv_scale[kv.num_kv_heads + kv_head];
  for (int r = 0; r < ROWS; ++r) {
    if (r / HEADS >= part.num_tokens || r % HEADS >= num_heads) continue;
    const float factor = divide(scale_v, (float)sum_integers(totals[r]));
    const long at = (part.first_token + r / HEADS) * out_place.stride +
                    (long)(head + r % HEADS) * HEAD_DIM;
    for (int v = 0; v < VECTORS; ++v) {
      float16 x = convert_float16(vload16(r * VECTORS + v, integers)) * factor;
      if (poison[r] != 0.0f) x = (float16)(NAN);
      store_row(out_base + out_place.offset, out_place.dtype, at + 16 * v,
                lanes_of(v), x);
    }
  }
}
