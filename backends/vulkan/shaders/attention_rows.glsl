// SPDX-License-Identifier: Apache-2.0
//
// The rows of K and V that attention in blocks goes through: KEYS at a time, 4 *
// LANES.  Lanes are parts of a row, which is then read as it lies; in what is
// between products with K and with V they are keys.  Loops over LANES keys do
// not unroll, for what runs must stay in the processor's cache of decoded
// instructions; all others must, for arrays are registers only where their
// indices are constants.

layout(binding = 0) uniform usamplerBuffer pool_texels;
layout(binding = 1) uniform usamplerBuffer query_texels;

// Lanes that read a row together, a power of two.  Where rows are shorter than
// LANES texels, several are read at once, so LANES rows take SPAN reads.
layout(constant_id = 6) const uint SPAN = 1u;
layout(constant_id = 7) const uint OUT_DTYPE = 1u;

// Codes of a texel, texels of a row, and how many of those a lane reads.
const uint PER_TEXEL = KV_FORMAT == KV_F32 ? 4u : KV_FORMAT <= KV_BF16 ? 8u : 16u;
const uint ROW_TEXELS = HEAD_DIM / PER_TEXEL;
const uint LANE_TEXELS = (ROW_TEXELS + LANES - 1u) / LANES;
const uint LANE_VALUES = LANE_TEXELS * PER_TEXEL;
const uint SUMS = ROWS * LANE_VALUES;
// Keys at a time: four for each lane, one after the other in a block.
const uint KEYS = 4u * LANES;
#define MAX_SPAN 16
#define MAX_SPAN_BITS 4u
#define MAX_SUMS 128

float queries[MAX_SUMS];  // of row r: those from r * LANE_VALUES
float sums[MAX_SUMS];     // likewise

int span_lane() { return lane_index() & int(SPAN - 1u); }

// In read `read` of LANES rows: which row this lane has part of.
uint row_of_lane(uint read) {
  return (gl_SubgroupInvocationID & ~(SPAN - 1u)) | read;
}

// Which texel of a row is this lane's texel `t`.  Lanes beyond the row have its
// last.
int texel_of_lane(uint t) {
  return min(span_lane() + int(t * LANES), int(ROW_TEXELS) - 1);
}

// Codes 4 i .. 4 i + 3 of a texel.
vec4 codes_of(uvec4 texel, uint i) {
  if (KV_FORMAT == KV_F32) return uintBitsToFloat(texel);
  if (KV_FORMAT == KV_F16) {
    return vec4(unpackHalf2x16(texel[2u * i]),
                unpackHalf2x16(texel[2u * i + 1u]));
  }
  if (KV_FORMAT == KV_BF16) {
    const uvec2 pair = uvec2(texel[2u * i], texel[2u * i + 1u]);
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u,
                                 pair.y << 16, pair.y & 0xffff0000u));
  }
  const int bits = int(texel[i]);
  return vec4(ivec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8),
                    bitfieldExtract(bits, 16, 8), bits >> 24));
}

// From texel `query`; lanes beyond a row have zeros.
void load_queries(int query) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    [[unroll]] for (uint t = 0u; t < LANE_TEXELS; ++t) {
      const bool is_row = span_lane() + int(t * LANES) < int(ROW_TEXELS);
      [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
        const int at = query + int(r * HEAD_DIM / 4u + four) +
                       texel_of_lane(t) * int(PER_TEXEL / 4u);
        const vec4 q = uintBitsToFloat(texelFetch(query_texels, at));
        [[unroll]] for (uint i = 0u; i < 4u; ++i) {
          queries[r * LANE_VALUES + t * PER_TEXEL + four * 4u + i] =
              is_row ? q[i] : 0.0;
        }
      }
    }
  }
}

// Lanes that have the bit clear: theirs of `a` and their neighbour's; others, of
// `b`.
float add_neighbours(float a, float b, uint bit) {
  const bool is_set = (gl_SubgroupInvocationID & bit) != 0u;
  const float other = is_set ? a : b;
  return (is_set ? b : a) +
         subgroupShuffle(other, gl_SubgroupInvocationID ^ bit);
}

// Where the row begins that this lane has part of in read `read` of the LANES
// rows from key `first` of a round.
int begin_of_row(ivec4 texels, uint first, uint read) {
  const uint key = first + row_of_lane(read);
  if (SPAN >= 4u) return subgroupShuffle(texels[read % 4u], key / 4u);
  const ivec4 rows = ivec4(
      subgroupShuffle(texels.x, key / 4u), subgroupShuffle(texels.y, key / 4u),
      subgroupShuffle(texels.z, key / 4u), subgroupShuffle(texels.w, key / 4u));
  return rows[key % 4u];
}

// Products of the queries with K's rows from key `first` of a round: of lane l's
// key, first + l.
void multiply_keys(ivec4 texels, uint first, out float scores[MAX_ROWS]) {
  float parts[MAX_ROWS * MAX_SPAN];
  [[unroll]] for (uint read = 0u; read < SPAN; ++read) {
    const int row = begin_of_row(texels, first, read);
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
      parts[r * MAX_SPAN + read] = 0.0;
    }
    [[unroll]] for (uint t = 0u; t < LANE_TEXELS; ++t) {
      const uvec4 texel = texelFetch(pool_texels, row + texel_of_lane(t));
      [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
        const vec4 codes = codes_of(texel, four);
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          const uint q = r * LANE_VALUES + t * PER_TEXEL + four * 4u;
          // Two by two: a chain of sums would take longer than it has to.
          parts[r * MAX_SPAN + read] +=
              (queries[q] * codes.x + queries[q + 1u] * codes.y) +
              (queries[q + 2u] * codes.z + queries[q + 3u] * codes.w);
        }
      }
    }
  }
  [[unroll]] for (uint bit = 0u; bit < MAX_SPAN_BITS; ++bit) {
    [[unroll]] for (uint i = 0u; i < SPAN; ++i) {
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        if ((2u * i + 1u) << bit < SPAN) {
          parts[r * MAX_SPAN + i] =
              add_neighbours(parts[r * MAX_SPAN + 2u * i],
                             parts[r * MAX_SPAN + 2u * i + 1u], 1u << bit);
        }
      }
    }
  }
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) scores[r] = parts[r * MAX_SPAN];
}

// sums += weights times V, of the same keys: a few columns at a time, so that
// their sums stay in registers.
void add_values(ivec4 rows, uint first, float weights[MAX_ROWS]) {
  [[unroll]] for (uint t = 0u; t < LANE_TEXELS; ++t) {
    uvec4 texels[MAX_SPAN];
    [[unroll]] for (uint read = 0u; read < SPAN; ++read) {
      const int row = begin_of_row(rows, first, read);
      texels[read] = texelFetch(pool_texels, row + texel_of_lane(t));
    }
    [[unroll]] for (uint four = 0u; four < PER_TEXEL / 4u; ++four) {
      [[unroll]] for (uint read = 0u; read < SPAN; ++read) {
        const vec4 codes = codes_of(texels[read], four);
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          const float weight = subgroupShuffle(weights[r], row_of_lane(read));
          [[unroll]] for (uint i = 0u; i < 4u; ++i) {
            sums[r * LANE_VALUES + t * PER_TEXEL + four * 4u + i] +=
                weight * codes[i];
          }
        }
      }
    }
  }
}

// Reads a texel of each cache line of the lanes' rows, four each from their
// `row_texel`, in K and V: as many lines at once as there are lanes.
uint touch_rows(int row_texel, int v_texels, uint reads) {
  const uint LINE_TEXELS = 4u;  // 64 bytes
  uint touched = 0u;
  [[dont_unroll]] for (uint i = 0u; i < reads; ++i) {
    const uint line = i * LANES + gl_SubgroupInvocationID;
    const int texel = subgroupShuffle(row_texel, line / ROW_TEXELS) +
                      int(line % ROW_TEXELS * LINE_TEXELS);
    touched |= texelFetch(pool_texels, texel).x |
               texelFetch(pool_texels, texel + v_texels).x;
  }
  return touched;
}

// Of a round's keys: from four in a row a lane to LANES in a row over the lanes,
// so that component i of lane l is of key i * LANES + l.
vec4 by_keys(vec4 fours) {
  vec4 result;
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    const uint from = (i * LANES + gl_SubgroupInvocationID) / 4u;
    const vec4 four =
        vec4(subgroupShuffle(fours.x, from), subgroupShuffle(fours.y, from),
             subgroupShuffle(fours.z, from), subgroupShuffle(fours.w, from));
    result[i] = four[gl_SubgroupInvocationID % 4u];
  }
  return result;
}

// The keys of a round.
struct Keys {
  ivec4 texels;   // where rows of K begin: lane l has keys 4 l .. 4 l + 3
  vec4 k_scales;  // as by_keys() says
  vec4 v_scales;
};

// What goes with the rounds of keys.
struct Walk {
  int v_texels;     // from a row of K to V's
  int next_texel;   // where rows of K would follow those of the last round
  uint touched;     // what was read of lines, for the reads to have a use
  uint iterations;  // no fewer than run: before, in each round, and of touches
  int fault;        // an index that is no block's; 0 is one
};

Walk start_walk() {
  return Walk(int(args.kv.v_offset / 16ul), -1, 0u,
              uint(args.num_seqs) + 16u, 0);
}

// A lane's four from `first`, a multiple of four, are in one block.  None comes
// after `last`, which stands in their stead.  Of a block that is none of the
// pool's, a fault and the first block.
Keys find_keys(Part part, int first, int last, inout Walk walk) {
  first = min(first, last / 4 * 4);
  const int logical =
      part.seq * args.max_blocks_per_seq + first / int(BLOCK_SIZE);
  const int index = I32s(args.block_table).v[uint(logical)];
  const bool is_inside = index >= 0 && index < args.kv.num_blocks;
  walk.fault = is_inside ? walk.fault : index;
  const int block =
      kv_head_index() * args.kv.num_blocks + (is_inside ? index : 0);
  const int row = block * int(BLOCK_SIZE) + first % int(BLOCK_SIZE);
  const ivec4 rows = row + min(ivec4(0, 1, 2, 3), last - first);
  Keys found = Keys(rows * int(ROW_TEXELS), vec4(1.0), vec4(1.0));
  if (KV_FORMAT == KV_I8_TOKEN) {
    const int texel = row / 4;
    found.k_scales = by_keys(uintBitsToFloat(texelFetch(
        pool_texels, texel + int(args.kv.k_scale_offset / 16ul))));
    found.v_scales = by_keys(uintBitsToFloat(texelFetch(
        pool_texels, texel + int(args.kv.v_scale_offset / 16ul))));
  }
  return found;
}

// The keys that each row sees; the last row's are those that any row does.
void find_seen(Part part, out int begins[MAX_ROWS], out int ends[MAX_ROWS]) {
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const int token = min(int(r / HEADS), part.num_tokens - 1);
    ends[r] = args.mask == MASK_FULL ? part.seq_len : part.position + token + 1;
    begins[r] = args.mask == MASK_SLIDING ? max(0, ends[r] - args.window) : 0;
  }
}

// The processor fetches ahead what follows; the rest is touched.  Prefill finds
// rows in a cache: the part before had them.
void touch_keys(inout Walk walk, Keys found) {
  if (TOKENS != 1u) return;
  const int lane_texels = 4 * int(ROW_TEXELS);
  const bool follows =
      found.texels.x == walk.next_texel + lane_index() * lane_texels;
  const uint jumps = max_of_lanes(follows ? 0u : 1u);
  walk.iterations += jumps * ROW_TEXELS + 1u;
  walk.touched |= touch_rows(found.texels.x, walk.v_texels, jumps * ROW_TEXELS);
  walk.next_texel =
      subgroupShuffle(found.texels.x, 0u) + int(LANES) * lane_texels;
}

void end_walk(Walk walk, Part part) {
  // Never: it gives the touches a use.
  if (args.kv.num_blocks < 0) {
    report_fault(args.fault, FAULT_BLOCK, int(walk.touched));
  }
  if (walk.fault != 0) report_fault(args.fault, FAULT_BLOCK, walk.fault);
  if (MOST_ITERATIONS != 0u && walk.iterations > MOST_ITERATIONS) {
    report_fault(args.fault, FAULT_LENGTH, part.seq);
  }
}

// Value `i` of the lane's in row `r` of the result.
void store_value(Part part, uint r, uint i, float y) {
  const int token = int(r / HEADS);
  const int head = int(r % HEADS);
  const int texel = int(i / PER_TEXEL * LANES) + lane_index();
  const int d = texel * int(PER_TEXEL) + int(i % PER_TEXEL);
  if (token < part.num_tokens && head < num_heads() && d < int(HEAD_DIM)) {
    const int64_t row = int64_t(part.first_token + token);
    store_one(args.y.address, int(OUT_DTYPE),
              row * args.y.stride + (first_head() + head) * int(HEAD_DIM) + d,
              y);
  }
}
