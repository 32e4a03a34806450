// SPDX-License-Identifier: Apache-2.0
//
// An integer weight that is filled in code by code, as GPTQ and searches for
// scales make it, in the planes that format::encode_rows would lay out.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/encode_group.hpp"
#include "framework/format/weight.hpp"

namespace tessera::quant {

// Rows may be filled by different threads.
class IntegerWeight {
 public:
  // Errors  INVALID_ARGUMENT for a format other than I8, U8, I4 and U4, an I4
  //         with zero points, per_tensor with a group, scales of another type
  //         than F32, F16 and BF16, or an empty or huge shape
  static Result<IntegerWeight> create(const format::WeightScheme& scheme,
                                      uint32_t N, uint32_t K);

  const format::WeightScheme& scheme() const { return scheme_; }
  const format::IntegerGrid& grid() const { return grid_; }
  uint32_t group_size() const { return group_size_; }  // K if there are none
  uint32_t num_groups() const { return num_groups_; }

  void set_group(uint32_t n, uint32_t g, format::GroupScale group);
  void set_codes(uint32_t n, std::span<const int32_t> codes);  // [K]

  // Column k holds input feature order[k].
  void set_permutation(std::span<const uint32_t> order);

  format::WeightData take() && { return std::move(weight_); }

 private:
  IntegerWeight(const format::WeightScheme& scheme, uint32_t N, uint32_t K);
  void add_plane(uint32_t role, uint32_t dtype, uint32_t cols, uint32_t block_n,
                 uint32_t block_k);

  format::WeightScheme scheme_;
  format::IntegerGrid grid_;
  uint32_t group_size_;
  uint32_t num_groups_;
  format::WeightData weight_;
};

// scale * (code - zero point), in f32.
inline float decode_integer(format::GroupScale group, int32_t code) {
  return group.scale * static_cast<float>(code - group.zero_point);
}

// True for a weight of integer codes with one level of scales and no minimum.
bool is_integer_weight(const format::WeightData& weight);

// Values of row n, each where its code is.
// Requires  is_integer_weight(weight); K values
void decode_integer_row(const format::WeightData& weight, uint32_t n,
                        std::span<float> out_row);

// A weight [N, K] in memory, checked.
//
// Errors  INVALID_ARGUMENT if the size differs, or, naming row and column, for
//         NaN or infinity
Status check_values(uint32_t N, uint32_t K, std::span<const float> values);

}  // namespace tessera::quant
