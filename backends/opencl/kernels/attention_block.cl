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

// 1, or the scales of up to KEYS keys; 0 past them.
static float16 load_key_scales(global const uchar* scales, KeyStep step) {
#if KV_FORMAT == KV_I8_TOKEN
  return load_f32((global const float*)scales, step.row, step.count);
#else
  return (float16)(1.0f);
#endif
}

// The state of the rows: running maxima, sums, and what the newest maxima
// multiply the state before them by.
typedef struct {
  float tops[16];
  float factors[16];
  float16 totals[ROWS];
} RowStates;

// Products become weights, V's scales included; the state moves to the new
// maxima.
static void weigh_keys(const AttentionArgs* args, Part part, KeyStep step,
                       float16 k_scales, float16 v_scales,
                       private float* products, private RowStates* state) {
  const float16 before = vload16(0, state->tops);
  for (int r = 0; r < ROWS; ++r) {
    const int token = min(r / HEADS, part.num_tokens - 1);
    const Keys seen =
        visible_keys(args, part.position + token, part.seq_len);
    const float16 scores =
        keep_visible(vload16(r, products) * k_scales, seen, step);
    vstore16(scores, r, products);
    state->tops[r] = fmax(state->tops[r], max_lane(scores));
  }
  // A row that sees nothing yet keeps its state, which is 0.
  const float16 after = vload16(0, state->tops);
  const float16 base = select(after, (float16)(0.0f), after == -INFINITY);
  vstore16(portable_exp(before - base), 0, state->factors);
  for (int r = 0; r < ROWS; ++r) {
    const float top = state->tops[r] == -INFINITY ? 0.0f : state->tops[r];
    const float16 p = portable_exp(vload16(r, products) - (float16)(top));
    state->totals[r] = state->totals[r] * state->factors[r] + p;
    vstore16(p * v_scales, r, products);
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
  float weights[ROWS * KEYS];
  RowStates state;
  load_queries(&args, part, head, kv_head, q_base, q_place, kv_scale, q);
  vstore16((float16)(-INFINITY), 0, state.tops);
  for (int r = 0; r < ROWS; ++r) {
    state.totals[r] = (float16)(0.0f);
    for (int v = 0; v < VECTORS; ++v) {
      vstore16((float16)(0.0f), r * VECTORS + v, out);
    }
  }
  const Keys keys = keys_of_part(&args, part);
  KeyStep step = find_step(pool, kv, &args, table, kv_head, keys.begin,
                           keys.end, fault);
  while (step.block != 0 && step.count > 0) {
    const KeyStep next = find_step(pool, kv, &args, table, kv_head,
                                   step.key + step.count, keys.end, fault);
    global const uchar* codes = step.block + step.row * kv.row_bytes;
    global const uchar* coming = next.block + next.row * kv.row_bytes;
    fetch_scales(next, kv);
    multiply_keys(codes, kv, step.count, q, weights, coming);
    weigh_keys(&args, part, step,
               load_key_scales(step.block + kv.k_scale_offset, step),
               load_key_scales(step.block + kv.v_scale_offset, step), weights,
               &state);
    add_values(codes + kv.v_offset, kv, step.count, weights, state.factors,
               out, coming + kv.v_offset);
    step = next;
  }
  if (step.block == 0) return;
  store_rows(&args, part, head, num_heads, kv_head, kv.num_kv_heads, out,
             state.totals, out_base, out_place, kv_scale);
}
