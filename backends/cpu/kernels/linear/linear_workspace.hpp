// SPDX-License-Identifier: Apache-2.0
//
// What lies where in the workspace of a linear.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_input.hpp"

namespace tessera::cpu {

// One product of oneDNN.  It rearranges the weights it is given once for all of
// its rows, so there should be many; its sums take 512 KiB.
inline constexpr int64_t kDenseRows = 512;
inline constexpr int64_t kDenseCols = 256;
// For fewer rows our own kernels do.
inline constexpr int64_t kMinDenseRows = 16;

// Rows of x that products see: the missing ones are zero.
inline int64_t round_up_rows(int64_t M) { return (M + 15) / 16 * 16; }

// One worker's own.
struct WorkerScratch {
  float* rows;       // 2 * padded_input(K)
  float* sums;       // [kChunkRows, kChunkCols], f32 or the bits of i32
  float* groups;     // the same shape
  float* panel;      // kPanelFloats
  float* col_scale;  // kChunkCols
  uint8_t* codes;    // [kChunkCols, K padded], of expanded rows
  // [kDenseRows, kDenseCols]; the same memory as sums, groups and panel.
  float* dense_sums;

  // Rows of x are prepared when rows of W are expanded; groups of at least
  // kMinExpandedGroup columns have room.
  ExpandScratch expansion() const {
    return {codes, reinterpret_cast<int32_t*>(rows)};
  }
  int32_t* integer_sums() const { return reinterpret_cast<int32_t*>(sums); }
};

struct Workspace {
  PreparedInput input;
  float* workers = nullptr;
  int64_t worker_floats = 0;
  LinearLimits limits;

  WorkerScratch worker(int64_t index) const;
};

// Errors  throws Error INVALID_ARGUMENT if `workspace` is too small or not
//         aligned
Workspace carve_workspace(LinearWorkspace workspace,
                          const LinearLimits& limits);

}  // namespace tessera::cpu
