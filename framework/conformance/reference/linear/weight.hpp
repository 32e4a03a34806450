// SPDX-License-Identifier: Apache-2.0
//
// Reads a weight of any format as the real numbers, or the integers, that
// tessera/types.h says its bits mean.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "tessera/types.h"

namespace tessera::reference {

// A checked weight.  Borrows the planes' data.  Any thread.
class Weight {
 public:
  // Errors  those of format::check_weight; INVALID_ARGUMENT if a plane has no
  //         data, a permutation names a column outside K, or a SPARSE tile is
  //         damaged
  static Result<Weight> open(const tsr_weight_desc& desc);
  static Result<Weight> open(const format::WeightData& weight);

  uint32_t format() const { return format_; }
  uint32_t N() const { return N_; }  // NOLINT(*-naming): as in the formula
  uint32_t K() const { return K_; }  // NOLINT(*-naming)

  // The real values of row n, exactly (of MXFP4 and F8 too; only a second
  // scale may round, to double).  Column k is the k-th code: a PERMUTATION is
  // not applied here but to the inputs.
  void decode_row(uint32_t n, std::span<double> out_row) const;

  // Integer formats: code - zero point of row n.
  //
  // Requires  has_integers()
  void integer_row(uint32_t n, std::span<int32_t> out_row) const;
  bool has_integers() const;
  // No |code - zero point| is larger.
  int32_t max_integer() const;

  // Decodes every row once and keeps it (8 bytes an element; 4 for integers),
  // so that many calls with few tokens each do not pay for it again.
  void keep_decoded();
  void keep_integers();

  // Columns that share a scale; K if there is one per row.
  uint32_t group_size() const;
  // S of row n, column k; 1 if the format has none.
  float scale(uint32_t n, uint32_t k) const;
  bool has_scale2() const { return scale2_.has_value(); }
  float scale2(uint32_t n) const;  // 1 if there is none
  bool has_min() const { return min_.has_value(); }

  // Planes that change inputs and accumulators; empty where there is none.
  std::span<const int32_t> permutation() const { return permutation_; }
  std::span<const float> input_multiplier() const { return input_multiplier_; }
  std::span<const int32_t> quant_bias() const { return quant_bias_; }

  // Static activations.
  struct StaticActivation {
    float scale;
    float inv;
    int32_t zero_point;
  };
  // Empty without planes ACT_SCALE and ACT_INV; a missing zero point is 0.
  std::optional<StaticActivation> static_activation() const {
    return static_activation_;
  }

 private:
  Status read_planes(const tsr_weight_desc& desc);
  Status read_small_planes(const tsr_weight_desc& desc);
  Status expand_sparse(const tsr_weight_desc& desc);
  double code(uint32_t n, uint32_t k) const;
  double zero_point(uint32_t n, uint32_t k) const;
  double min(uint32_t n, uint32_t k) const;
  void decode_blocks(uint32_t n, std::span<double> out_row) const;

  uint32_t format_ = 0;
  uint32_t N_ = 0;
  uint32_t K_ = 0;
  tsr_plane codes_{};
  std::vector<int8_t> expanded_;        // [N, K]; SPARSE_FIXED only
  std::vector<double> kept_values_;     // [N, K] or empty
  std::vector<int32_t> kept_integers_;  // likewise
  std::optional<tsr_plane> scale_;
  std::optional<tsr_plane> scale2_;
  std::optional<tsr_plane> zero_point_;
  std::optional<tsr_plane> min_;
  std::vector<int32_t> permutation_;
  std::vector<float> input_multiplier_;
  std::vector<int32_t> quant_bias_;
  std::optional<StaticActivation> static_activation_;
};

}  // namespace tessera::reference
