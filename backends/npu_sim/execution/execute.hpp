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

namespace tessera::npu {

// GM, and what instructions read besides.
struct Memory {
  // By the number of the tensor, the upper bits of a GM address.
  std::map<uint64_t, std::vector<uint8_t>> tensors;

  // One for each column of the output: what the fixpipe multiplies by
  // (QUANT_PRE), or the vector pipe.
  std::vector<uint64_t> fixpipe_words;
  std::vector<float> scales;
  Numerics numerics = Numerics::kHw;

  // kQuantize.
  float inverse_scale = 1;
  int32_t zero_point = 0;

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
