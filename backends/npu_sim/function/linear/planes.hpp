// SPDX-License-Identifier: Apache-2.0
//
// The planes of one weight, checked, and their elements.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/npu_sim/function/linear/weight.hpp"
#include "tessera/plugin.h"

namespace tessera::npu {

// Reads element by element; what is read often is copied out by the caller.
//
// Errors   as make_half_weight
class Planes {
 public:
  explicit Planes(const tsr_weight_desc& desc);

  uint32_t format() const { return format_; }
  int64_t rows() const { return N_; }
  int64_t columns() const { return K_; }

  // Integer codes of a row, minus their zero points.
  void integer_row(int64_t n, int32_t* out_row) const;
  // All of a SPARSE_FIXED weight.
  void sparse_codes(int16_t* out_codes) const;
  // The bits of a row of an F16 or BF16 weight.
  const uint16_t* half_row(int64_t n) const;
  // Those of a row of an F8E4M3 weight.
  const uint8_t* byte_row(int64_t n) const;

  bool has_scale() const { return scale_ != nullptr; }
  bool has_scale2() const { return scale2_ != nullptr; }
  int64_t group_size() const;  // weights along K that share a scale
  float scale(int64_t n, int64_t k) const;
  float scale2(int64_t n) const;

  InputRules read_rules() const;

 private:
  const tsr_plane* find(uint32_t role) const;
  // A plane of so many rows and columns with data; null if it is absent.
  const tsr_plane* checked(uint32_t role, uint64_t rows, uint64_t cols) const;
  const tsr_plane* blocked(uint32_t role) const;
  const char* codes_row(int64_t n) const;

  uint32_t format_;
  int64_t N_;
  int64_t K_;
  std::vector<tsr_plane> planes_;
  const tsr_plane* codes_ = nullptr;
  const tsr_plane* scale_ = nullptr;
  const tsr_plane* scale2_ = nullptr;
  const tsr_plane* zero_point_ = nullptr;
};

}  // namespace tessera::npu
