// SPDX-License-Identifier: Apache-2.0
//
// Float attention: a work-item walks the cache once for its rows and keeps their
// running maximum, sum and output.
// Source: Milakov and Gimelshein, arXiv:1805.02867, section 3 (running maximum
// and sum).

// q times the softmax scale, and times K's scales where they are per channel.
static void load_queries(const AttentionArgs* args, Part part, int head,
                         int kv_head, global const uchar* q, RowPlace place,
                         global const float* kv_scale, private float* out) {
  for (int r = 0; r < ROWS; ++r) {
    const int token = part.first_token + min(r / HEADS, part.num_tokens - 1);
    const int h = min(head + r % HEADS, args->num_q_heads - 1);
    const long row = token * place.stride + (long)h * HEAD_DIM;
    for (int v = 0; v < VECTORS; ++v) {
      float16 x = load_row(q + place.offset, place.dtype, row + 16 * v,
                           lanes_of(v)) *
                  args->scale;
#if KV_FORMAT == KV_I8_CHANNEL
      x = x * load_f32(kv_scale + (long)kv_head * HEAD_DIM, 16 * v,
                       lanes_of(v));
#endif
      vstore16(x, r * VECTORS + v, out);
    }
  }
}

// scores[r][key] of up to KEYS keys in one block.
static void score_keys(global const uchar* codes, KvPlace kv,
                       global const float* scales, int count,
                       private const float* q, private float* scores) {
  for (int key = 0; key < count; ++key) {
    float16 k[VECTORS];
    for (int v = 0; v < VECTORS; ++v) {
      k[v] = load_codes(codes + key * kv.row_bytes, v);
    }
#if KV_FORMAT == KV_I8_TOKEN
    const float scale = scales[key];
#else
    const float scale = 1.0f;
#endif
    for (int r = 0; r < ROWS; ++r) {
      float16 sum = vload16(r * VECTORS, q) * k[0];
      for (int v = 1; v < VECTORS; ++v) {
        sum = fma(vload16(r * VECTORS + v, q), k[v], sum);
      }
      scores[r * KEYS + key] = sum_lanes(sum) * scale;
    }
  }
}

// Scores of one step become weights; the state moves to the new maximum.
static void weigh_keys(const AttentionArgs* args, Part part, int key,
                       int count, private float* scores, private float* tops,
                       private float16* totals, private float* factors) {
  for (int r = 0; r < ROWS; ++r) {
    const int token = min(r / HEADS, part.num_tokens - 1);
    const Keys seen =
        visible_keys(args, part.position + token, part.seq_len);
    for (int i = 0; i < KEYS; ++i) {
      const bool visible =
          i < count && key + i >= seen.begin && key + i < seen.end;
      if (!visible) scores[r * KEYS + i] = -INFINITY;
    }
    const float16 s = vload16(r, scores);
    const float top = fmax(tops[r], max_lane(s));
    // A row that sees nothing yet keeps its state.
    const bool empty = top == -INFINITY;
    const float16 p =
        empty ? (float16)(0.0f) : portable_exp(s - (float16)(top));
    factors[r] = empty ? 1.0f : portable_exp((float16)(tops[r] - top)).s0;
    totals[r] = totals[r] * factors[r] + p;
    tops[r] = top;
    vstore16(p, r, scores);
  }
}

// out = out * factor + sum of weights times V.
static void add_values(global const uchar* codes, KvPlace kv,
                       global const float* scales, int count,
                       private const float* weights,
                       private const float* factors, private float* out) {
  for (int v = 0; v < VECTORS; ++v) {
    float16 values[KEYS];
    for (int key = 0; key < count; ++key) {
      values[key] = load_codes(codes + key * kv.row_bytes, v);
#if KV_FORMAT == KV_I8_TOKEN
      values[key] = values[key] * scales[key];
#endif
    }
    for (int r = 0; r < ROWS; ++r) {
      float16 sum = vload16(r * VECTORS + v, out) * factors[r];
      for (int key = 0; key < count; ++key) {
        sum = fma((float16)(weights[r * KEYS + key]), values[key], sum);
      }
      vstore16(sum, r * VECTORS + v, out);
    }
  }
}

static void store_rows(const AttentionArgs* args, Part part, int head,
                       int num_heads, int kv_head, int num_kv_heads,
                       private const float* rows, private float16* totals,
                       global uchar* out, RowPlace place,
                       global const float* kv_scale) {
  for (int r = 0; r < ROWS; ++r) {
    if (r / HEADS >= part.num_tokens || r % HEADS >= num_heads) continue;
    const float total = sum_lanes(totals[r]);
    const long row = (part.first_token + r / HEADS) * place.stride +
                     (long)(head + r % HEADS) * HEAD_DIM;
    for (int v = 0; v < VECTORS; ++v) {
      float16 x = divide16(vload16(r * VECTORS + v, rows), (float16)(total));
#if KV_FORMAT == KV_I8_CHANNEL
      x = x * load_f32(kv_scale + (long)(num_kv_heads + kv_head) * HEAD_DIM,
                       16 * v, lanes_of(v));
#endif
      store_row(out + place.offset, place.dtype, row + 16 * v, lanes_of(v), x);
    }
  }
}

ONE_ITEM kernel void attention(
    global const uchar* q_base, RowPlace q_place, global uchar* out_base,
    RowPlace out_place, global const uchar* pool, KvPlace kv,
    global const uchar* q_starts, global const uchar* seq_lens,
    global const uchar* block_table, global const uchar* kv_scale_base,
    AttentionArgs args, global int* fault) {
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
  global const int* table =
      (global const int*)(block_table + args.block_table_offset) +
      (long)part.seq * args.max_blocks_per_seq;

  float q[ROWS * PADDED_DIM];
  float out[ROWS * PADDED_DIM];
  float scores[ROWS * KEYS];
  float tops[ROWS];
  float factors[ROWS];
  float16 totals[ROWS];
  load_queries(&args, part, head, kv_head, q_base, q_place, kv_scale, q);
  for (int r = 0; r < ROWS; ++r) {
    tops[r] = -INFINITY;
    totals[r] = (float16)(0.0f);
    for (int v = 0; v < VECTORS; ++v) {
      vstore16((float16)(0.0f), r * VECTORS + v, out);
    }
  }
  const Keys keys = keys_of_part(&args, part);
  for (int key = keys.begin; key < keys.end;) {
    const int slot = key % kv.block_size;
    const int count = min(min(kv.block_size - slot, KEYS), keys.end - key);
    global const uchar* block =
        find_block(pool, kv, &args, table, key, fault);
    if (block == 0) return;
    const long row = (long)kv_head * kv.block_size + slot;
    global const uchar* codes = block + row * kv.row_bytes;
    score_keys(codes, kv,
               (global const float*)(block + kv.k_scale_offset) + row, count,
               q, scores);
    weigh_keys(&args, part, key, count, scores, tops, totals, factors);
    add_values(codes + kv.v_offset, kv,
               (global const float*)(block + kv.v_scale_offset) + row, count,
               scores, factors, out);
    key += count;
  }
  store_rows(&args, part, head, num_heads, kv_head, kv.num_kv_heads, out,
             totals, out_base, out_place, kv_scale);
}
