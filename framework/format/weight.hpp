// SPDX-License-Identifier: Apache-2.0
//
// A weight on the host: W[N, K] in the planes that tessera/types.h draws.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "tessera/types.h"

namespace tessera::format {

// "q4_0" for TSR_WEIGHT_Q4_0; "weight format 99" for an unknown one.
std::string weight_format_name(uint32_t format);

// The format of that name; 0 if there is none.
uint32_t weight_format_from_name(std::string_view name);

// A plane whose bytes are its own, or lie in memory that outlives it.
struct Plane {
  uint32_t role = 0;   // TSR_PLANE_*
  uint32_t dtype = 0;  // TSR_F32 ...; of one element, U8 for GGUF blocks
  uint32_t rows = 0;   // shape [rows, cols], in elements, dense
  uint32_t cols = 0;
  uint32_t block_n = 0;  // elements of W that one element serves; 0: none
  uint32_t block_k = 0;
  std::vector<std::byte> owned;
  std::span<const std::byte> borrowed;  // used if `owned` is empty

  std::span<const std::byte> bytes() const {
    return owned.empty() ? borrowed : std::span<const std::byte>(owned);
  }
  uint64_t row_bytes() const;
  std::byte* mutable_row(uint32_t row) {
    return owned.data() + row * row_bytes();
  }
  const std::byte* row(uint32_t row) const {
    return bytes().data() + row * row_bytes();
  }
};

// The C form of a weight, or of a slice of its rows.  Borrows the planes' data.
class WeightView {
 public:
  // Valid while this view lives and stays where it is.
  tsr_weight_desc desc() const;

 private:
  friend struct WeightData;
  uint32_t format_ = 0;
  uint32_t rows_ = 0;  // the slice's N
  uint32_t cols_ = 0;  // K
  std::vector<tsr_plane> planes_;
};

struct WeightData {
  uint32_t format = 0;  // TSR_WEIGHT_*
  uint32_t N = 0;       // output features
  uint32_t K = 0;       // input features
  std::vector<Plane> planes;

  // Null if there is no plane of that role.
  const Plane* find(uint32_t role) const;
  Plane* find(uint32_t role);

  // Of all planes together.
  uint64_t bytes() const;

  WeightView view() const;

  // Rows n_begin .. n_end - 1, for tsr_api.packing_slice: a weight of N =
  // n_end - n_begin whose blocked planes start at row n_begin; planes that
  // serve all rows, and those along K, are whole.
  //
  // Errors  INVALID_ARGUMENT if the range is empty or not in [0, N];
  //         UNIMPLEMENTED if it cuts through a block of a plane, or for a part
  //         of a SPARSE weight
  Result<WeightView> slice(uint32_t n_begin, uint32_t n_end) const;
};

// An F32, F16 or BF16 weight over memory that outlives it, such as a mapped
// file.
//
// Errors  INVALID_ARGUMENT if `bytes` is not N * K elements, or for another
//         format
Result<WeightData> borrow_dense_weight(uint32_t format, uint32_t N, uint32_t K,
                                       std::span<const std::byte> bytes);

}  // namespace tessera::format
