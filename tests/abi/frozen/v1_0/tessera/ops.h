// SPDX-License-Identifier: Apache-2.0
//
// tessera/ops.h - programs: tensors, and the ops over them, as records without
// pointers.  Conventions are those of tessera/types.h.
//
// A program is recorded once with declared maxima and submitted once per step.
// A step says how many tokens, sequences and output rows there are, and gives
// the step tensors (TSR_ROLE_TOKEN_IDS ...) new contents.

#ifndef TSR_OPS_H
#define TSR_OPS_H

#include "tessera/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Tensors ---------------------------------------------------------------

// What a dimension counts.  FIXED dimensions are `max` in every step; the
// others are what the step says, at most `max`.
enum {
  TSR_DIM_FIXED = 0,
  TSR_DIM_TOKENS = 1,         // num_tokens: all sequences of the step together
  TSR_DIM_SEQS = 2,           // num_seqs
  TSR_DIM_SEQS_PLUS_ONE = 3,  // num_seqs + 1
  TSR_DIM_OUTPUTS = 4,        // num_outputs: rows whose logits are wanted
};

// By value.
typedef struct tsr_dim {
  uint32_t max;
  uint32_t symbol;  // TSR_DIM_*
} tsr_dim;

// Step tensors, all I32.  The host writes them before each submission.
enum {
  TSR_ROLE_VALUE = 0,        // an ordinary tensor
  TSR_ROLE_TOKEN_IDS = 1,    // [TOKENS]
  TSR_ROLE_POSITIONS = 2,    // [TOKENS]; position of each token in its sequence
  TSR_ROLE_Q_STARTS = 3,     // [SEQS_PLUS_ONE]; tokens of sequence s are
                             // q_starts[s] .. q_starts[s + 1] - 1
  TSR_ROLE_SEQ_LENS = 4,     // [SEQS]; cached tokens, this step's included
  TSR_ROLE_BLOCK_TABLE = 5,  // [SEQS, max_blocks_per_seq]; logical -> physical;
                             // unused entries are never read
  TSR_ROLE_SLOT_MAPPING = 6,  // [TOKENS]; block * block_size + offset;
                              // negative: the token is not stored
  TSR_ROLE_OUTPUT_ROWS = 7,   // [OUTPUTS]; rows of [TOKENS, ...] to keep
};

enum {
  TSR_TENSOR_TRANSIENT = 1,  // lives inside the program; need not exist at all,
                             // so a plugin may fuse across it.  Never bound.
  TSR_TENSOR_CONSTANT = 2,   // bound when the program is created, never written
};

// Row-major; the last dimension is contiguous.  A view is a window into another
// tensor of the same dtype: its row r starts at element
// view_offset + r * row_stride of `view_of`.
typedef struct tsr_tensor {
  uint32_t struct_size;
  uint32_t dtype;       // TSR_F32 ...
  uint32_t role;        // TSR_ROLE_*
  uint32_t flags;       // TSR_TENSOR_*
  uint32_t rank;        // 1 to 4
  uint32_t view_of;     // a tensor id; TSR_NONE: owns its memory
  uint32_t row_stride;  // elements between rows (all but the last dimension
                        // flattened); 0: dense
  uint32_t view_offset;
  tsr_dim dims[4];
} tsr_tensor;

// Where a tensor's first element lies.  By value.
typedef struct tsr_binding {
  uint32_t tensor;
  uint32_t reserved;
  uint64_t buffer;  // host id
  uint64_t offset;
} tsr_binding;

// ---- Ops -------------------------------------------------------------------

enum {
  TSR_OP_LINEAR = 1,
  TSR_OP_ATTENTION = 2,
  TSR_OP_KV_APPEND = 3,
  TSR_OP_RMS_NORM = 4,
  TSR_OP_LAYER_NORM = 5,
  TSR_OP_ROPE = 6,
  TSR_OP_ADD = 7,
  TSR_OP_SILU_MUL = 8,
  TSR_OP_GELU = 9,
  TSR_OP_SOFTMAX = 10,
  TSR_OP_EMBEDDING = 11,
  TSR_OP_GATHER_ROWS = 12,
  TSR_OP_EXTENSION = 0x8000,  // named by its first tsr_record_ext
};

// Head of every op record.  The op's own fields follow it up to struct_size,
// then (from the next multiple of 8) its tsr_record_ext payloads up to
// record_bytes, where the next op starts.  By value.
typedef struct tsr_op {
  uint32_t struct_size;   // of the op as its writer knew it
  uint32_t record_bytes;  // a multiple of 8
  uint32_t kind;          // TSR_OP_*
  uint32_t flags;         // TSR_OP_PORTABLE
} tsr_op;

// Run the portable variant, which gives the same bits on every device, or
// refuse.
enum { TSR_OP_PORTABLE = 1 };

// How a linear reads its activations; see numerics.md section 1.
enum {
  TSR_ACT_FLOAT = 0,       // as they are, accumulated in f32
  TSR_ACT_I8_DYNAMIC = 1,  // s8, one scale per token, found at run time
  TSR_ACT_I8_STATIC = 2,   // s8, one scale per tensor: planes ACT_SCALE,
                           // ACT_INV, ACT_ZERO_POINT
  TSR_ACT_U8_STATIC = 3,   // the same in u8
  TSR_ACT_I8_MIX = 4,      // DYNAMIC in prefill, STATIC in decode, per token
  TSR_ACT_I4_DYNAMIC = 5,  // s4 per token
  TSR_ACT_F8_DYNAMIC = 6,  // E4M3 per token
  TSR_ACT_Q8 = 7,          // s8 per 32 values, for GGUF blocks
};

enum {
  TSR_EPILOGUE_NONE = 0,
  TSR_EPILOGUE_SILU = 1,
  TSR_EPILOGUE_GELU_ERF = 2,
  TSR_EPILOGUE_GELU_TANH = 3,
};

// Linear flags.
enum {
  TSR_LINEAR_ACCUMULATE = 1,  // y += ; y keeps its type; no epilogue
  TSR_LINEAR_PARTIAL = 2,  // y is the raw accumulator, I32 or F32; no epilogue
};

// Y[M, N] = epilogue(X[M, K] . W[N, K]^T) for columns n_begin .. n_end - 1.
//
// Epilogue: + bias, activation function, * multiplier, + residual; each rounded
// to f32, then once to Y's type.
//
// Shapes   x [M, K]; y, multiplier, residual [M, n_end - n_begin]; bias [N] F32
// Types    x, y, multiplier, residual F32, F16 or BF16; the accumulator is F32,
//          or I32 where x is quantized
// Errors   INVALID_ARGUMENT if shapes disagree;
//          UNIMPLEMENTED, with a tsr_refusal, for what no kernel row covers
// Source   numerics.md section 1
typedef struct tsr_op_linear {
  tsr_op op;
  uint32_t x;
  uint32_t y;
  uint32_t weight;  // index into the program's weights
  uint32_t bias;    // TSR_NONE if absent, like the next two
  uint32_t multiplier;
  uint32_t residual;
  uint32_t activation;  // TSR_EPILOGUE_*
  uint32_t act_quant;   // TSR_ACT_*
  uint32_t n_begin;
  uint32_t n_end;  // 0: N
  uint32_t flags;  // TSR_LINEAR_*
  uint32_t reserved;
} tsr_op_linear;

enum {
  TSR_MASK_CAUSAL = 0,   // token at position p sees positions <= p
  TSR_MASK_FULL = 1,     // every cached token
  TSR_MASK_SLIDING = 2,  // causal, and only positions > p - window
};

// out = softmax(scale * q . k^T + mask) . v per sequence and head over the
// paged KV cache; query head h reads KV head h / (num_q_heads / num_kv_heads).
//
// K and V are always read back through the cache's type, this step's included.
// One streaming pass: no q_len x kv_len matrix exists.
//
// Shapes   q, out [TOKENS, num_q_heads, head_dim]; the step tensors as their
//          roles say; q_scale, q_inv F32 [num_q_heads], kv_scale F32
//          [2, num_kv_heads] (K then V) or [2, num_kv_heads, head_dim];
//          thresholds I32 [num_q_heads, 127]
// Types    q, out F32, F16 or BF16, the same; accumulates in f32.  With KV
//          I8_HEAD (fa3) Q is quantized with q_inv, and all sums are exact in
//          I32
// Errors   INVALID_ARGUMENT if num_q_heads % num_kv_heads != 0
// Source   Kwon et al., arXiv:2309.06180 (block table); Ainslie et al.,
//          arXiv:2305.13245 (grouped heads); numerics.md section 2 (fa3)
typedef struct tsr_op_attention {
  tsr_op op;
  uint32_t q;
  uint32_t out;
  uint32_t kv;  // index into the program's KV pools
  uint32_t q_starts;
  uint32_t seq_lens;
  uint32_t block_table;
  uint32_t num_q_heads;
  uint32_t mask;    // TSR_MASK_*
  uint32_t window;  // tokens; TSR_MASK_SLIDING only
  float scale;      // usually 1 / sqrt(head_dim)
  uint32_t q_inv;   // fa3 only, else TSR_NONE, like the next three
  uint32_t q_scale;
  uint32_t kv_scale;  // also KV I8_CHANNEL
  uint32_t thresholds;
} tsr_op_attention;

enum {
  TSR_ROPE_NONE = 0,
  TSR_ROPE_HALF = 1,         // pairs (i, i + rotary_dim / 2): GPT-NeoX, Llama
  TSR_ROPE_INTERLEAVED = 2,  // pairs (2 i, 2 i + 1): GPT-J, llama2.c
};

// Rotates k by its position (unless style is NONE), converts k and v to the
// pool's type and stores them at slot_mapping.
//
// Shapes   k, v [TOKENS, num_kv_heads, head_dim]; table F32 [max_positions,
//          rotary_dim], a row is cos[rotary_dim / 2], sin[rotary_dim / 2];
//          kv_inv F32 [2, num_kv_heads] or [2, num_kv_heads, head_dim]
// Types    k, v F32, F16 or BF16; the rotation is in f32, each product and sum
//          rounded
typedef struct tsr_op_kv_append {
  tsr_op op;
  uint32_t k;
  uint32_t v;
  uint32_t kv;  // index into the program's KV pools
  uint32_t slot_mapping;
  uint32_t positions;  // TSR_NONE without rotation, like table
  uint32_t table;
  uint32_t style;       // TSR_ROPE_*
  uint32_t rotary_dim;  // the first so many of head_dim are rotated
  uint32_t kv_inv;      // static KV formats: 1 / scale; else TSR_NONE
  uint32_t reserved;
} tsr_op_kv_append;

// RMS_NORM    y = x / sqrt(mean(x^2) + eps) * weight
// LAYER_NORM  y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias
// over the last dimension.
//
// Shapes   x, y [..., D]; weight, bias [D]
// Types    all F32, F16 or BF16, each its own; f32 inside
typedef struct tsr_op_norm {
  tsr_op op;
  uint32_t x;
  uint32_t y;
  uint32_t weight;
  uint32_t bias;  // TSR_NONE for RMS_NORM
  float eps;
  uint32_t reserved;
} tsr_op_norm;

// Rotates the first rotary_dim elements of each head; see tsr_op_kv_append.
//
// Shapes   x, y [TOKENS, num_heads, head_dim]; may be the same tensor
typedef struct tsr_op_rope {
  tsr_op op;
  uint32_t x;
  uint32_t y;
  uint32_t positions;
  uint32_t table;
  uint32_t style;  // TSR_ROPE_HALF or TSR_ROPE_INTERLEAVED
  uint32_t rotary_dim;
} tsr_op_rope;

// ADD       y = a + b
// SILU_MUL  y = a / (1 + exp(-a)) * b
// GELU      y = a * Phi(a); b is TSR_NONE; `variant` is TSR_EPILOGUE_GELU_*
//
// Shapes   a, b, y the same; F32, F16 or BF16 each, f32 inside
typedef struct tsr_op_elementwise {
  tsr_op op;
  uint32_t a;
  uint32_t b;
  uint32_t y;
  uint32_t variant;
} tsr_op_elementwise;

// y = softmax(scale * x) over the last dimension.
typedef struct tsr_op_softmax {
  tsr_op op;
  uint32_t x;
  uint32_t y;
  float scale;
  uint32_t reserved;
} tsr_op_softmax;

// EMBEDDING    y[i] = table[rows[i]]; an id outside the table fails the step
// GATHER_ROWS  the same where `table` is an activation [TOKENS, D]
//
// Shapes   table [V, D]; rows I32 [R]; y [R, D]
typedef struct tsr_op_gather {
  tsr_op op;
  uint32_t table;
  uint32_t rows;
  uint32_t y;
  uint32_t reserved;
} tsr_op_gather;

// ---- Programs --------------------------------------------------------------

// A program record: this head, then its arrays.
typedef struct tsr_program_desc {
  uint32_t struct_size;
  uint32_t record_bytes;
  uint64_t id;         // host id of the program
  tsr_slice tensors;   // of tsr_tensor; a tensor's id is its index
  tsr_slice ops;       // of op records, in execution order; stride 0
  tsr_slice weights;   // of uint64_t: host ids
  tsr_slice kv_pools;  // of uint64_t: host ids
  tsr_slice bindings;  // of tsr_binding; CONSTANT tensors must be here, the
                       // others may be, and submissions override them
  uint32_t max_seqs;
  uint32_t max_tokens;
  uint32_t max_outputs;
  uint32_t max_blocks_per_seq;
  uint32_t phases;  // mask of TSR_PREFILL, TSR_DECODE its steps are in; 0: both
  uint32_t reserved;
  tsr_slice extensions;  // of tsr_record_ext; stride 0
} tsr_program_desc;

// Ops first_op .. first_op + num_ops - 1 run as one kernel of that name.
typedef struct tsr_segment {
  uint32_t struct_size;
  uint32_t first_op;
  uint32_t num_ops;
  uint32_t reserved;
  char kernel[64];
} tsr_segment;

// Why an op cannot run, and what would.
enum {
  TSR_REFUSED_NOTHING = 0,  // the op is fine
  TSR_REFUSED_OP = 1,       // no kernel for this kind of op
  TSR_REFUSED_DTYPE = 2,    // `field` names the tensor
  TSR_REFUSED_FORMAT = 3,   // weight or KV format
  TSR_REFUSED_SHAPE = 4,    // `field` names the dimension
  TSR_REFUSED_EPILOGUE = 5,
  TSR_REFUSED_MEMORY = 6,     // too large for the device
  TSR_REFUSED_FEATURE = 7,    // the hardware lacks it; `message` says what
  TSR_REFUSED_EXTENSION = 8,  // a must-understand extension is unknown
};

typedef struct tsr_refusal {
  uint32_t struct_size;
  uint32_t op;      // index
  uint32_t reason;  // TSR_REFUSED_*
  uint32_t reserved;
  char field[32];   // "K", "group_size", "head_dim", "x.dtype" ...
  int64_t value;    // what was asked for
  int64_t nearest;  // the nearest that would work; equal to value if none would
  char message[128];
} tsr_refusal;

// ---- Submissions -----------------------------------------------------------

enum { TSR_PREFILL = 1, TSR_DECODE = 2 };  // also bits of a phase mask

// A point on a timeline semaphore.  By value.
typedef struct tsr_point {
  uint64_t timeline;  // host id
  uint64_t value;
} tsr_point;

enum {
  TSR_SUBMIT_PROGRAM = 1,
  TSR_SUBMIT_COPY = 2,       // between two buffers of the device
  TSR_SUBMIT_KV_COPY = 3,    // blocks within a pool: prefix sharing, swap
  TSR_SUBMIT_KV_EXPORT = 4,  // private blocks -> canonical blocks in a buffer
  TSR_SUBMIT_KV_IMPORT = 5,  // and back
};

enum { TSR_SUBMIT_PROFILE = 1 };  // record kernels for profile_read

// By value.
typedef struct tsr_block_pair {
  uint32_t src;
  uint32_t dst;
} tsr_block_pair;

// One entry of an in-order queue: waits, works, signals.  On failure the signal
// points get the status instead, and so does whoever waits for them.
//
// Submit borrows the buffers, weights, pools and programs it names until its
// last signal point is reached; the record itself only for the call.
typedef struct tsr_submission {
  uint32_t struct_size;
  uint32_t record_bytes;
  uint32_t kind;      // TSR_SUBMIT_*
  uint32_t flags;     // TSR_SUBMIT_PROFILE
  tsr_slice waits;    // of tsr_point
  tsr_slice signals;  // of tsr_point
  // TSR_SUBMIT_PROGRAM
  uint64_t program;    // host id
  tsr_slice bindings;  // of tsr_binding; override the program's
  uint32_t num_tokens;
  uint32_t num_seqs;
  uint32_t num_outputs;
  uint32_t max_q_len;  // of any sequence of this step
  uint32_t max_seq_len;
  uint32_t num_decode_tokens;  // the first so many tokens are in the decode
                               // phase, the rest in prefill
  // TSR_SUBMIT_COPY; src and dst are buffers, or for KV_* pool and buffer
  uint64_t src;
  uint64_t dst;
  uint64_t src_offset;
  uint64_t dst_offset;
  uint64_t bytes;
  // TSR_SUBMIT_KV_*
  tsr_slice blocks;  // of tsr_block_pair; EXPORT: pool block -> canonical index
                     // in the buffer from dst_offset; IMPORT: the other way
  tsr_slice extensions;  // of tsr_record_ext; stride 0
} tsr_submission;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_OPS_H
