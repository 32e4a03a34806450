// SPDX-License-Identifier: Apache-2.0
//
// tessera/draft_ops.h - ops that are to come, as extensions of today's records.
// DRAFTS: not part of the frozen ABI, they may change with every minor version.
// Conventions are those of tessera/types.h.
//
// Each struct here is the payload of a tsr_record_ext with the name given above
// it.  A payload has no pointers; its arrays are tsr_slice, whose offsets count
// from the payload's first byte.  Where "op" is said, the extension is the
// first of a TSR_OP_EXTENSION record, which is a bare tsr_op; where "on linear"
// is said, it rides on a tsr_op_linear and must be understood.
//
// A kernel that runs one names it in tsr_kernel_desc.extensions.  Promotion: a
// draft that two backends run becomes a TSR_OP_* of the next minor version, and
// its name is kept for one version more.

#ifndef TSR_DRAFT_OPS_H
#define TSR_DRAFT_OPS_H

#include "tessera/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_DRAFT_GROUPED_LINEAR "dev.tessera.grouped_linear"
#define TSR_DRAFT_LOW_RANK "dev.tessera.low_rank"
#define TSR_DRAFT_ALL_REDUCE "dev.tessera.all_reduce"
#define TSR_DRAFT_CONV2D "dev.tessera.conv2d"
#define TSR_DRAFT_ACT_SPARSITY "dev.tessera.act_sparsity"

// ---- Grouped linear: mixture of experts, adapters per sequence -------------

// Op.  Rows of x that belong to one expert lie together; group g multiplies
// rows group_offsets[g] .. group_offsets[g + 1] - 1 by its own weight:
//
//   y[m] = activation(x[m] . W_g^T) * row_scale[m]
//
// Empty groups are allowed, and rows past the last offset are not written.
// Weights share format, N and K; a step reads only those of nonempty groups.
//
// Shapes   x [rows, K]; y [rows, N]; group_offsets I32 [num_groups + 1],
//          ascending from 0; row_scale F32 [rows] or TSR_NONE; weights: indices
//          into the program's weights, num_groups of them
// Types    as tsr_op_linear; gathering tokens into groups and summing them back
//          are GATHER_ROWS and ADD
// Source   Gale et al., arXiv:2211.15841 (MegaBlocks)
typedef struct tsr_draft_grouped_linear {
  uint32_t struct_size;
  uint32_t x;
  uint32_t y;
  uint32_t group_offsets;
  uint32_t row_scale;
  uint32_t activation;  // TSR_EPILOGUE_*
  uint32_t act_quant;   // TSR_ACT_*
  uint32_t flags;       // TSR_LINEAR_*
  tsr_slice weights;    // of uint32_t
} tsr_draft_grouped_linear;

// ---- Low-rank side branch: LoRA, SVD of the quantization error -------------

// On linear.  Before the epilogue, to the accumulator in f32:
//
//   acc[m, n] += scale * sum over r of (x . down^T)[m, r] * up[n, r]
//
// The branch reads x as it is: never quantized, and before
// TSR_PLANE_INPUT_MULTIPLIER if `raw_input` is 1, after it if 0.
//
// Shapes   down [rank, K], up [N, rank]: weights of the program, F16 or BF16
// Errors   INVALID_ARGUMENT for a linear with TSR_LINEAR_PARTIAL and I32 output
// Source   Hu et al., arXiv:2106.09685 (LoRA); Li et al., arXiv:2411.05007
//          (SVDQuant: the branch absorbs what 4 bits cannot)
typedef struct tsr_draft_low_rank {
  uint32_t struct_size;
  uint32_t down;  // index into the program's weights
  uint32_t up;
  uint32_t rank;
  float scale;
  uint32_t raw_input;
} tsr_draft_low_rank;

// ---- All-reduce: one layer over several devices ----------------------------

enum {
  TSR_DRAFT_REDUCE_SUM = 1,
  TSR_DRAFT_REDUCE_MAX = 2,
};

// Op.  y = reduction of x over the members of a group of devices, the same bits
// on every member: partial results are added in ascending rank in f32, and
// rounded once to y's type.
//
// The host makes the group and hands every member the same id; members submit
// the same reductions of one group in the same order.  Other members' parts are
// read from `mailbox`, a buffer that all of them import; timelines of the
// submission order its use.
//
// Shapes   x, y the same; mailbox U8 [num_members, bytes of x]
// Types    F32, F16, BF16; I32 for SUM of partial accumulators
typedef struct tsr_draft_all_reduce {
  uint32_t struct_size;
  uint32_t x;
  uint32_t y;
  uint32_t mailbox;
  uint64_t group;  // host id
  uint32_t num_members;
  uint32_t rank;       // of this device in the group
  uint32_t reduction;  // TSR_DRAFT_REDUCE_*
  uint32_t reserved;
} tsr_draft_all_reduce;

// ---- Convolution: vision towers, patch embeddings --------------------------

// Op.  y[b, o, h, w] = activation(bias[o] + sum over c, i, j of
//   x[b, c, h stride_h + i dilation_h - pad_top, w stride_w + j dilation_w -
//   pad_left] * W[o, c, i, j])
// with zeros outside x, and c over the channels of o's group.
//
// Shapes   x [B, C, H, W]; y [B, O, OH, OW]; the weight is W[N, K] with N = O
//          and K = C / groups * kernel_h * kernel_w, in that order; bias F32
//          [O]
// Types    as tsr_op_linear with TSR_ACT_FLOAT
// Errors   INVALID_ARGUMENT if C or O is not a multiple of groups
typedef struct tsr_draft_conv2d {
  uint32_t struct_size;
  uint32_t x;
  uint32_t y;
  uint32_t weight;  // index into the program's weights
  uint32_t bias;    // TSR_NONE if absent
  uint32_t activation;
  uint32_t kernel_h;
  uint32_t kernel_w;
  uint32_t stride_h;
  uint32_t stride_w;
  uint32_t dilation_h;
  uint32_t dilation_w;
  uint32_t pad_top;
  uint32_t pad_left;
  uint32_t groups;
  uint32_t reserved;
} tsr_draft_conv2d;

// ---- Activation sparsity ---------------------------------------------------

enum {
  TSR_DRAFT_SPARSE_THRESHOLD = 1,  // |x| < threshold[0] reads as 0
  TSR_DRAFT_SPARSE_TOP_K = 2,      // per row, all but the `keep` largest |x|
};

// On linear.  Some of x's columns count as zero, so that the weights they meet
// need not be read.  What is dropped is defined, not left to the kernel, so
// that results can be checked.  Ties keep the lower column.  Quantization
// parameters of x are found before dropping.
//
// Shapes   threshold F32 [1] or TSR_NONE; predicted I32 [rows, keep] or
//          TSR_NONE: columns to keep, ascending, where a predictor chose them
// Source   Liu et al., arXiv:2310.17157 (Deja Vu); Liu et al., arXiv:2408.14690
//          (TEAL: magnitude thresholds)
typedef struct tsr_draft_act_sparsity {
  uint32_t struct_size;
  uint32_t kind;  // TSR_DRAFT_SPARSE_*
  uint32_t threshold;
  uint32_t predicted;
  uint32_t keep;  // columns per row; TOP_K only
  uint32_t reserved;
} tsr_draft_act_sparsity;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_DRAFT_OPS_H
