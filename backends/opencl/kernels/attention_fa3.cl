// SPDX-License-Identifier: Apache-2.0
//
// Integer attention, bit for bit as numerics.md section 2: the row maximum
// first, over all keys, then codes of probabilities and exact sums.

#define MAX_INTEGER_KEYS 133000

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

// Scores of up to KEYS keys in one block: 512 * 127 * 127 < 2^24, so that f32
// holds them exactly.
static void score_keys(global const uchar* codes, KvPlace kv, int count,
                       private const float* q, private int* scores) {
  for (int key = 0; key < count; ++key) {
    float16 k[VECTORS];
    for (int v = 0; v < VECTORS; ++v) {
      k[v] = load_codes(codes + key * kv.row_bytes, v);
    }
    for (int r = 0; r < ROWS; ++r) {
      float16 sum = vload16(r * VECTORS, q) * k[0];
      for (int v = 1; v < VECTORS; ++v) {
        sum = fma(vload16(r * VECTORS + v, q), k[v], sum);
      }
      scores[r * KEYS + key] = (int)sum_lanes(sum);
    }
  }
}

// Number of k with distance <= thresholds[k - 1], which falls with k.
static int probability_code(global const int* thresholds, int distance) {
  int low = 0;  // thresholds[low - 1] >= distance
  int high = 127;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (distance <= thresholds[middle - 1]) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Codes of one step, and their sums.
static void code_keys(const AttentionArgs* args, Part part, int head, int key,
                      int count, private const int* scores,
                      private const int* tops,
                      global const int* thresholds, private float* codes,
                      private int* totals) {
  for (int r = 0; r < ROWS; ++r) {
    const int token = min(r / HEADS, part.num_tokens - 1);
    const int h = min(head + r % HEADS, args->num_q_heads - 1);
    const Keys seen =
        visible_keys(args, part.position + token, part.seq_len);
    for (int i = 0; i < count; ++i) {
      const bool visible = key + i >= seen.begin && key + i < seen.end;
      const int code =
          visible ? probability_code(thresholds + h * 127,
                                     tops[r] - scores[r * KEYS + i])
                  : 0;
      codes[r * KEYS + i] = (float)code;
      totals[r] += code;
    }
  }
}

// KEYS * 127 * 127 < 2^24: exact in f32.
static void add_values(global const uchar* codes, KvPlace kv, int count,
                       private const float* weights, private int* sums) {
  for (int v = 0; v < VECTORS; ++v) {
    float16 values[KEYS];
    for (int key = 0; key < count; ++key) {
      values[key] = load_codes(codes + key * kv.row_bytes, v);
    }
    for (int r = 0; r < ROWS; ++r) {
      float16 sum = (float16)(0.0f);
      for (int key = 0; key < count; ++key) {
        sum = fma((float16)(weights[r * KEYS + key]), values[key], sum);
      }
      const int at = r * VECTORS + v;
      vstore16(vload16(at, sums) + convert_int16(sum), at, sums);
    }
  }
}

static void raise_tops(const AttentionArgs* args, Part part, int key,
                       int count, private const int* scores,
                       private int* tops) {
  for (int r = 0; r < ROWS; ++r) {
    const int token = min(r / HEADS, part.num_tokens - 1);
    const Keys seen =
        visible_keys(args, part.position + token, part.seq_len);
    for (int i = 0; i < count; ++i) {
      const bool visible = key + i >= seen.begin && key + i < seen.end;
      if (visible) tops[r] = max(tops[r], scores[r * KEYS + i]);
    }
  }
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
  int sums[ROWS * PADDED_DIM];
  int scores[ROWS * KEYS];
  float codes[ROWS * KEYS];
  int tops[ROWS];
  int totals[ROWS];
  quantize_queries(&args, part, head, q_base, q_place, q_inv, q, poison);
  for (int r = 0; r < ROWS; ++r) {
    tops[r] = INT_MIN;
    totals[r] = 0;
    for (int v = 0; v < VECTORS; ++v) {
      vstore16((int16)(0), r * VECTORS + v, sums);
    }
  }
  for (int pass = 0; pass < 2; ++pass) {
    for (int key = keys.begin; key < keys.end;) {
      const int slot = key % kv.block_size;
      const int count = min(min(kv.block_size - slot, KEYS), keys.end - key);
      global const uchar* block =
          find_block(pool, kv, &args, table, key, fault);
      if (block == 0) return;
      const long row = (long)kv_head * kv.block_size + slot;
      global const uchar* places = block + row * kv.row_bytes;
      score_keys(places, kv, count, q, scores);
      if (pass == 0) {
        raise_tops(&args, part, key, count, scores, tops);
      } else {
        code_keys(&args, part, head, key, count, scores, tops, thresholds,
                  codes, totals);
        add_values(places + kv.v_offset, kv, count, codes, sums);
      }
      key += count;
    }
  }
  const float scale_v = kv_scale[kv.num_kv_heads + kv_head];
  for (int r = 0; r < ROWS; ++r) {
    if (r / HEADS >= part.num_tokens || r % HEADS >= num_heads) continue;
    const float factor = divide(scale_v, (float)totals[r]);
    const long at = (part.first_token + r / HEADS) * out_place.stride +
                    (long)(head + r % HEADS) * HEAD_DIM;
    for (int v = 0; v < VECTORS; ++v) {
      float16 x = convert_float16(vload16(r * VECTORS + v, sums)) * factor;
      if (poison[r] != 0.0f) x = (float16)(NAN);
      store_row(out_base + out_place.offset, out_place.dtype, at + 16 * v,
                lanes_of(v), x);
    }
  }
}
