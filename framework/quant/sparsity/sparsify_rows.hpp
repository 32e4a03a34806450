// SPDX-License-Identifier: Apache-2.0
//
// Codes of rows whose protected weights are known: scales and books of one row
// of tiles, then rounding.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/quant/sparsity/sparsify.hpp"
#include "framework/quant/sparsity/sparsify_book.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {

// One protect_fraction; shared by its threads.
struct SparsifyJob {
  const ProtectOptions& options;
  std::span<const float> values;        // [N, K]
  std::span<const float> error_weight;  // [K], of squared errors per column
  const GptqFactor* factor;             // null: round to nearest
  ProtectedWeight* result;              // is_protected is filled in
};

// The books of one row of tiles, left to right.
using RowBooks = std::vector<LevelBook>;

// Learns the books of rows n_begin .. n_end - 1, one row of tiles, and stores
// their scales.
//
// Errors  INVALID_ARGUMENT, naming the row, if a scale does not fit its type
Result<RowBooks> learn_books(const SparsifyJob& job, uint32_t n_begin,
                             uint32_t n_end);

// Stores the codes of rows n_begin .. n_end - 1, which share `books`.
void round_rows(const SparsifyJob& job, const RowBooks& books, uint32_t n_begin,
                uint32_t n_end);

}  // namespace tessera::quant
