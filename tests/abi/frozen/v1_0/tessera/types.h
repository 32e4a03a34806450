// SPDX-License-Identifier: Apache-2.0
//
// tessera/types.h - the words that host and plugin share: codes, data types,
// and how the bits of tensors, weights and KV blocks lie in memory.
//
// Conventions, true for every declaration in tessera/*.h unless it says
// otherwise:
//
//   Growth     A struct that crosses the boundary starts with u32 struct_size,
//              set to sizeof by whoever owns the storage.  Fields are appended,
//              never reordered or retyped.  The other side touches nothing past
//              struct_size and takes a missing field as zero, so zero is always
//              the old behaviour.  A struct marked "by value" is embedded in
//              others and never grows.
//   Arrays     Cross as tsr_array: element i lies at data + i * stride, so that
//              the elements may grow.
//   Records    What is submitted, or must reach another process, is one
//              contiguous, 8-byte aligned record without pointers: arrays are
//              tsr_slice, objects are host ids, places are byte offsets.
//   Enums      Append-only; 0 is "none" or the default.  Values from 0x8000 on
//              are a vendor's.  A reader skips what it does not know.
//   Errors     Functions return tsr_status; TSR_OK is 0.  Results leave through
//              parameters named out_*, written only on TSR_OK.
//   Ownership  Pointers are borrowed for the call.
//   Units      Sizes and offsets are bytes, strides of tensors are elements,
//              times are ns, energy is nJ.
//   Bytes      Little endian.
//   Unwinding  No function throws, longjmps, or ends the process.
//
// Needs C11 or C++17, and nothing but the two standard headers below.

#ifndef TSR_TYPES_H
#define TSR_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MAJOR changes when an old plugin would misbehave; MINOR when something is
// appended.  A version crosses as (major << 16) | minor.
#define TSR_ABI_MAJOR 1
#define TSR_ABI_MINOR 0

// "None", wherever a tensor, weight or KV index may be left out.
#define TSR_NONE UINT32_MAX

// ---- Building blocks -------------------------------------------------------

// By value.
typedef struct tsr_array {
  const void* data;
  uint32_t count;
  uint32_t stride;  // bytes from one element to the next
} tsr_array;

// An array inside a record.  By value.
typedef struct tsr_slice {
  uint32_t offset;  // from the record's first byte; a multiple of 8
  uint32_t count;
  uint32_t stride;  // bytes; 0 if elements carry their own record_bytes
  uint32_t bytes;   // all elements together
} tsr_slice;

// min <= x <= max and x % multiple == 0; max 0 is "no limit", multiple 0 is 1.
// By value.
typedef struct tsr_range {
  uint32_t min;
  uint32_t max;
  uint32_t multiple;
} tsr_range;

// Head of an extension in a `next` chain.  A reader that does not know `name`
// skips the node, or refuses the call with UNIMPLEMENTED if TSR_MUST_UNDERSTAND
// is set.  A node's own fields follow this head, without pointers, up to
// struct_size.  By value.
typedef struct tsr_ext {
  uint32_t struct_size;
  uint32_t flags;    // TSR_MUST_UNDERSTAND
  const char* name;  // reverse DNS: "com.vendor.feature"
  const struct tsr_ext* next;
} tsr_ext;

// The same inside a record: payload follows, padded to a multiple of 8.
typedef struct tsr_record_ext {
  uint32_t struct_size;   // of this head
  uint32_t record_bytes;  // head and payload; where the next one starts
  uint32_t flags;         // TSR_MUST_UNDERSTAND
  uint32_t reserved;
  char name[48];  // reverse DNS, NUL-terminated
} tsr_record_ext;

enum { TSR_MUST_UNDERSTAND = 1 };

// ---- Errors ----------------------------------------------------------------

// Codes follow abseil's, so that they mean what readers expect.
typedef int32_t tsr_status;
enum {
  TSR_OK = 0,
  TSR_CANCELLED = 1,            // the caller asked for it
  TSR_INVALID_ARGUMENT = 3,     // the call is wrong on every device
  TSR_DEADLINE_EXCEEDED = 4,    // a wait or the watchdog gave up
  TSR_NOT_FOUND = 5,            // a named thing is not there
  TSR_RESOURCE_EXHAUSTED = 8,   // memory or queue full; retry smaller
  TSR_FAILED_PRECONDITION = 9,  // the call is right, but not in this state
  TSR_UNIMPLEMENTED = 12,       // this plugin cannot; another may
  TSR_INTERNAL = 13,            // a bug in the plugin, or a lost device
  TSR_UNAVAILABLE = 14,         // no such device here; tests skip
  TSR_DATA_LOSS = 15,           // a file or a packed weight is damaged
};

// What the caller may do after a failure.
enum {
  TSR_RETRY_NEVER = 0,     // the same call fails again; the object is unchanged
  TSR_RETRY_LATER = 1,     // the same call may succeed
  TSR_RETRY_SMALLER = 2,   // a smaller one may
  TSR_DEVICE_LOST = 3,     // close the device; the plugin may open another
  TSR_PLUGIN_POISONED = 4  // call nothing of this plugin again
};

// Where a callee explains a failure.  The caller owns the storage, so nothing
// is to be freed; `err` may be NULL.
typedef struct tsr_error {
  uint32_t struct_size;
  uint32_t retry;       // TSR_RETRY_* and what follows it
  int64_t native_code;  // the driver's own code; 0 if there is none
  char message[240];    // NUL-terminated; truncated if it does not fit
} tsr_error;

enum { TSR_LOG_DEBUG = 0, TSR_LOG_INFO, TSR_LOG_WARNING, TSR_LOG_ERROR };

// ---- Data types ------------------------------------------------------------

// Masks of data types have bit (1 << value).
enum {
  TSR_DTYPE_NONE = 0,
  TSR_F32 = 1,
  TSR_F16 = 2,   // IEEE binary16
  TSR_BF16 = 3,  // the upper half of an f32
  TSR_I32 = 4,
  TSR_I8 = 5,
  TSR_U8 = 6,
  TSR_I4 = 7,       // two a byte, the lower index in the low nibble
  TSR_U4 = 8,       // likewise
  TSR_F8E4M3 = 9,   // OCP OFP8 e4m3fn: no infinity, NaN 0x7f and 0xff, max 448
  TSR_F8E5M2 = 10,  // OCP OFP8: infinity 0x7c, max 57344
  TSR_F4E2M1 = 11,  // two a byte, low first: 0 .5 1 1.5 2 3 4 6, bit 3 the sign
  TSR_E8M0 = 12,    // 2^(byte - 127); 255 is NaN
  TSR_I64 = 13,
};

// ---- Weights ---------------------------------------------------------------
//
// A weight is W[N, K] in planes.  A plane is a row-major array; an element of a
// scale-like plane serves a block of block_n x block_k elements of W:
//
//   per tensor   block_n = N, block_k = K           shape [1, 1]
//   per channel  block_n = 1, block_k = K           shape [N, 1]
//   per group    block_n = 1, block_k = group_size  shape [N, ceil(K / g)]
//
// The last group of a row may be short.
enum {
  TSR_PLANE_CODES = 1,  // the numbers themselves, or whole GGUF blocks
  TSR_PLANE_SCALE = 2,
  TSR_PLANE_SCALE2 = 3,       // second level: per channel, or one per tensor
  TSR_PLANE_ZERO_POINT = 4,   // same blocks as SCALE, one code a byte (U8, I8)
  TSR_PLANE_MIN = 5,          // real = scale * code + min
  TSR_PLANE_INDEX = 6,        // where tiles of a compressed weight begin
  TSR_PLANE_PERMUTATION = 7,  // I32 [K]: column k holds input feature p[k]
  TSR_PLANE_INPUT_MULTIPLIER = 8,  // F32 [K]: x is multiplied before use
  TSR_PLANE_ACT_SCALE = 9,         // F32 [1]: static activations, numerics.md 1
  TSR_PLANE_ACT_INV = 10,         // F32 [1]: its reciprocal, as the host has it
  TSR_PLANE_ACT_ZERO_POINT = 11,  // I32 [1]
  TSR_PLANE_QUANT_BIAS = 12,      // I32 [N]: added to the accumulator
};

// Formats.  k2 is K / 2 rounded up.  S is the SCALE plane, Z the ZERO_POINT.
//
//   format       CODES plane                        real value
//   F32          F32  [N, K]                        code
//   F16          F16  [N, K]                        code
//   BF16         BF16 [N, K]                        code
//   I8           I8   [N, K]                        S * (code - Z); Z: 0
//   U8           U8   [N, K]                        S * (code - Z); Z: 128
//   I4           I4   [N, k2 bytes]                 S * code * SCALE2
//   U4           U4   [N, k2 bytes]                 S * (code - Z); Z: 8
//   F8E4M3       F8E4M3 [N, K]                      S * code
//   F8E5M2       F8E5M2 [N, K]                      S * code
//   F4E2M1       F4E2M1 [N, k2 bytes]               S * code
//   MXFP4        F4E2M1 [N, k2 bytes]               S * code; S E8M0, group 32
//   NVFP4        F4E2M1 [N, k2 bytes]               S * code * SCALE2;
//                                                   S F8E4M3, group 16
//   Q4_0 ...     U8   [N, K / block * block bytes]  as ggml, below
//   SPARSE_FIXED, SPARSE_ENTROPY                    S * code, below
//
// A missing Z has the value after the semicolon; a missing SCALE2 is 1.  S is
// F32 unless a line says otherwise (F16 and BF16 are allowed; readers widen).
// In I4 with SCALE2 per channel, S may be U8: the two-level form of w4a8.
//
// GGUF blocks, one row after another; d and m are F16; q_i is code i.
//
//   Q4_0   0 d | 2 qs[16]                           (q - 8) * d
//   Q4_1   0 d | 2 m | 4 qs[16]                     q * d + m
//   Q5_0   0 d | 2 qh u32 | 6 qs[16]                (q - 16) * d
//   Q5_1   0 d | 2 m | 4 qh u32 | 8 qs[16]          q * d + m
//   Q8_0   0 d | 2 qs i8[32]                        q * d
//     32 values.  qs[j]: value j in the low nibble, j + 16 in the high one; bit
//     4 of value j is bit j of qh.
//   Q4_K   0 d | 2 dmin | 4 scales[12] | 16 qs[128]
//     256 values; piece g of 64 is qs[32 g ..]: low nibbles are sub-block 2g,
//     high ones 2g + 1; d * sc_j * q - dmin * m_j.  j < 4: sc = scales[j] & 63,
//     m = scales[j + 4] & 63; else sc = (scales[j + 4] & 15) |
//     (scales[j - 4] >> 6) << 4, m = (scales[j + 4] >> 4) | (scales[j] >> 6) <<
//     4
//   Q5_K   0 d | 2 dmin | 4 scales[12] | 16 qh[32] | 48 qs[128]
//     as Q4_K; bit 4 of value l of sub-block j is bit j of qh[l]
//   Q6_K   0 ql[128] | 128 qh[64] | 192 scales i8[16] | 208 d
//     half n, l = 0..31, L = ql + 64 n, H = qh + 32 n: values 128 n + 32 k + l
//     have low bits L[l] & 15, L[l + 32] & 15, L[l] >> 4, L[l + 32] >> 4 and
//     high bits (H[l] >> 2 k) & 3, k = 0..3; d * scales[i / 16] * (q - 32)
//   Q2_K   0 scales[16] | 16 qs[64] | 80 d | 82 dmin
//     half n, l = 0..31: value 128 n + 32 k + l is (qs[32 n + l] >> 2 k) & 3;
//     s = scales[i / 16]; d * (s & 15) * q - dmin * (s >> 4)
//   Q3_K   0 hmask[32] | 32 qs[64] | 96 scales[12] | 108 d
//     low bits as Q2_K, minus 4 where bit 4 n + k of hmask[l] is 0; scale j of
//     16: low four bits scales[j] & 15 for j < 8, else scales[j - 8] >> 4, high
//     two (scales[8 + j % 4] >> 2 (j / 4)) & 3; d * (scale - 32) * q
//   IQ4_NL 0 d | 2 qs[16]                           T[q] * d
//     32 values, as Q4_0; T: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69
//     89 113
//   Source: ggml, docs/gguf.md and ggml-quants.c.
//
// SPARSE_FIXED: s8 codes of tiles of 256 rows x 128 columns, row by row of
// tiles; edge tiles keep their true size, R rows x C columns.  INDEX: I64
// [tiles + 1], byte offset of each tile in CODES, then the end.  A tile:
//
//   0  book i8[16]  the value of nibbles 0..14; entry 15 is unused, zero
//   16 nibbles      [R, ceil(C / 2)], low first; 15: the next escape byte
//   .. escapes i8[] in the order of the elements, row by row
//   .. zero bytes up to a multiple of 16
//
// SPARSE_ENTROPY is the same tile behind an entropy code; it is expanded to
// SPARSE_FIXED when loaded and never reaches a kernel.
enum {
  TSR_WEIGHT_F32 = 1,
  TSR_WEIGHT_F16 = 2,
  TSR_WEIGHT_BF16 = 3,
  TSR_WEIGHT_I8 = 4,
  TSR_WEIGHT_U8 = 5,
  TSR_WEIGHT_I4 = 6,
  TSR_WEIGHT_U4 = 7,
  TSR_WEIGHT_F8E4M3 = 8,
  TSR_WEIGHT_F8E5M2 = 9,
  TSR_WEIGHT_F4E2M1 = 10,
  TSR_WEIGHT_MXFP4 = 11,
  TSR_WEIGHT_NVFP4 = 12,
  TSR_WEIGHT_Q4_0 = 13,
  TSR_WEIGHT_Q4_1 = 14,
  TSR_WEIGHT_Q5_0 = 15,
  TSR_WEIGHT_Q5_1 = 16,
  TSR_WEIGHT_Q8_0 = 17,
  TSR_WEIGHT_Q4_K = 18,
  TSR_WEIGHT_Q6_K = 19,
  TSR_WEIGHT_SPARSE_FIXED = 20,
  TSR_WEIGHT_SPARSE_ENTROPY = 21,
  TSR_WEIGHT_Q2_K = 22,
  TSR_WEIGHT_Q3_K = 23,
  TSR_WEIGHT_Q5_K = 24,
  TSR_WEIGHT_IQ4_NL = 25,
};

typedef struct tsr_plane {
  uint32_t struct_size;
  uint32_t role;   // TSR_PLANE_*
  uint32_t dtype;  // TSR_F32 ...; of one element, U8 for GGUF blocks
  uint32_t rows;   // shape [rows, cols], in elements
  uint32_t cols;
  uint32_t block_n;  // elements of W that one element serves; 0: not blocked
  uint32_t block_k;
  uint32_t reserved;
  uint64_t row_bytes;  // from one row to the next
  const void* data;    // NULL where only the shape matters
} tsr_plane;

typedef struct tsr_weight_desc {
  uint32_t struct_size;
  uint32_t format;   // TSR_WEIGHT_*
  uint32_t N;        // output features
  uint32_t K;        // input features
  tsr_array planes;  // of tsr_plane
  const tsr_ext* next;
} tsr_weight_desc;

// ---- KV cache --------------------------------------------------------------
//
// A pool holds the blocks of one layer.  The host owns pools and block tables;
// a device may lay out a block as it likes, and converts to and from the
// canonical block, whose parts each start at a multiple of 64 bytes:
//
//   K codes   [num_kv_heads, block_size, head_dim]
//   V codes   [num_kv_heads, block_size, head_dim]
//   K scales  F32 [num_kv_heads, block_size]   I8_TOKEN only
//   V scales  F32 [num_kv_heads, block_size]   I8_TOKEN only
enum {
  TSR_KV_F32 = 1,
  TSR_KV_F16 = 2,
  TSR_KV_BF16 = 3,
  TSR_KV_I8_TOKEN = 4,    // scale per token and head, computed by kv_append
  TSR_KV_I8_CHANNEL = 5,  // static scale F32 [num_kv_heads, head_dim]
  TSR_KV_I8_HEAD = 6,     // static scale F32 [num_kv_heads]; what fa3 reads
};

typedef struct tsr_kv_desc {
  uint32_t struct_size;
  uint32_t format;  // TSR_KV_*
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t block_size;  // tokens per block
  uint32_t num_blocks;
  const tsr_ext* next;
} tsr_kv_desc;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_TYPES_H
