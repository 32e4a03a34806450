// SPDX-License-Identifier: Apache-2.0
//
// A stream carried out on data, instruction by instruction: what the fast path
// of function/ must agree with bit for bit.

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "backends/npu_sim/function/fixpipe.hpp"
#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/profile/profile.hpp"
#include "tessera/ops.h"

namespace tessera::npu {

// Codes that become values of the cube's type.
struct StoredWeight {
  int64_t N = 0;
  int64_t K = 0;
  int64_t block = 0;  // columns of one in NZ; 0: ND
  bool is_nk = true;  // ND as [N, K], else [K, N]
  int64_t group_size = 0;
  std::vector<float> scales;  // [parts, N, ceil(K / group_size)]
};

// What the softmax of attention knows.
struct AttentionFacts {
  float scale = 1;
  int64_t group = 1;  // rows of a token
  bool causal = true;
  int64_t window = 0;  // 0: full
  // Of fa3, by query head: scales of queries, 127 thresholds; by KV head: the
  // scale of V.
  std::vector<float> q_inverse;
  std::vector<int32_t> thresholds;
  std::vector<float> value_scales;
};

// Of norms, rope and softmax over rows.
struct RowFacts {
  float eps = 0;
  float scale = 1;            // softmax
  std::vector<float> weight;  // of a norm, by column
  std::vector<float> bias;    // of a layer norm; may be empty
  // Rope, as ops.h has it.
  uint32_t style = TSR_ROPE_NONE;
  int64_t head_dim = 0;
  int64_t num_heads = 0;  // of a token
  int64_t rotary_dim = 0;
  std::vector<int32_t> positions;  // of tokens
  std::vector<float> table;        // [positions, rotary_dim]
};

// How the cache that kv_append fills stores values.
struct CacheFacts {
  bool finds_scales = false;   // of each token and head, else `inverse`
  std::vector<float> inverse;  // 1 / scale of codes: [2, heads] or, by_channel,
  bool by_channel = false;     // [2, heads, dims]
};

// GM, and what instructions read besides.
struct Memory {
  // By the number of the tensor, the upper bits of a GM address.
  std::map<uint64_t, std::vector<uint8_t>> tensors;

  // One for each column of the output: what the fixpipe multiplies by
  // (QUANT_PRE), or the vector pipe.  Where both could, in kHw, the vector pipe
  // takes the cut scale too, so that a sum is worth the same either way.
  std::vector<uint64_t> fixpipe_words;
  std::vector<float> scales;
  Numerics numerics = Numerics::kHw;
  bool vector_cuts_scales = false;

  // kFinish; the activation of kGelu too.
  bool has_row_scales = false;
  std::vector<float> bias;                  // by column; may be empty
  uint32_t activation = TSR_EPILOGUE_NONE;  // of ops.h
  bool multiplies = false;                  // by its first input
  bool adds_residual = false;               // its next one

  // kQuantize.
  float inverse_scale = 1;
  int32_t zero_point = 0;

  // kWiden.
  StoredWeight weight;

  AttentionFacts attention;
  RowFacts rows;
  CacheFacts cache;

  // What moves copies whose address is data.
  std::vector<int32_t> indices;

  // kUnzip: SPARSE_FIXED tiles as types.h draws them, of W[N, K].
  std::vector<uint8_t> sparse_codes;
  std::vector<int64_t> sparse_index;
  int64_t sparse_rows = 0;
  int64_t sparse_columns = 0;
};

// Leaves the launch's results in `memory`.  Pipes run as far ahead as flags let
// them, so a flag that is missing shows in the result.
//
// Errors  throws sdk::Error as run_stream; UNIMPLEMENTED for an instruction
//         that can be timed only; INVALID_ARGUMENT if a tensor is missing or
//         too small
void execute(const Profile& profile, const Stream& stream, Memory& memory);

}  // namespace tessera::npu
