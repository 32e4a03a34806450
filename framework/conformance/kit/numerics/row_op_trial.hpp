// SPDX-License-Identifier: Apache-2.0
//
// One small op with its operands, and what must come of it.

#pragma once

#include <cstdint>
#include <string>

#include "framework/conformance/kit/trial/op_run.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

struct RowOpSpec {
  uint32_t op = TSR_OP_ADD;
  uint32_t M = 5;
  uint32_t max_m = 5;
  uint32_t N = 64;      // last dimension
  uint32_t heads = 1;   // rope
  uint32_t rotary = 0;  // rope: rotated elements; 0: all
  uint32_t x_dtype = TSR_F32;
  uint32_t y_dtype = TSR_F32;
  uint32_t variant = 0;  // gelu, or the rope style
  // Of the embedding's table, or of the rotation's: more than a byte counts.
  uint32_t table_rows = 300;
  bool strided = false;
  bool in_place = false;  // rope
  bool special = false;   // a NaN, and rows of zeros
  float magnitude = 1.0f;
  float offset = 0.0f;  // of all inputs
  uint32_t seed = 42;

  std::string text() const;
  bool is_rope() const { return op == TSR_OP_ROPE; }
  bool is_gather() const {
    return op == TSR_OP_EMBEDDING || op == TSR_OP_GATHER_ROWS;
  }
};

// Makes the setup from the spec's seed.  `row` is the kernel that will run it,
// whose error class bounds the expectation; null: there is none.
//
// Errors  what no device could run
Result<OpTrial> make_row_op(const RowOpSpec& spec, const tsr_kernel_desc* row);

}  // namespace tessera::conformance
