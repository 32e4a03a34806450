// SPDX-License-Identifier: Apache-2.0
//
// What the planes of each weight format mean.  The formulas are the table of
// tessera/types.h, line by line.

#include "framework/conformance/reference/linear/weight.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "framework/conformance/reference/linear/sparse_tile.hpp"
#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/weight_check.hpp"

namespace tessera::reference {
namespace {

const std::byte* plane_row(const tsr_plane& plane, uint64_t row) {
  return static_cast<const std::byte*>(plane.data) + row * plane.row_bytes;
}

// The element that serves W[n, k].
double block_value(const tsr_plane& plane, uint32_t n, uint32_t k) {
  return format::element_value(plane.dtype, plane_row(plane, n / plane.block_n),
                               k / plane.block_k);
}

// A plane of one row or one column.
template <typename T>
std::vector<T> vector_plane(const tsr_weight_desc& desc, uint32_t role) {
  std::vector<T> values;
  const auto plane = format::find_plane(desc, role);
  if (!plane) return values;
  for (uint32_t row = 0; row < plane->rows; ++row) {
    for (uint32_t col = 0; col < plane->cols; ++col) {
      values.push_back(format::load_element<T>(plane_row(*plane, row), col));
    }
  }
  return values;
}

Status check_data(const tsr_weight_desc& desc) {
  for (uint32_t role = TSR_PLANE_CODES; role <= TSR_PLANE_QUANT_BIAS; ++role) {
    const auto plane = format::find_plane(desc, role);
    if (plane && plane->data == nullptr) {
      return Status(TSR_INVALID_ARGUMENT,
                    "plane of role " + std::to_string(role) + " has no data");
    }
  }
  return {};
}

}  // namespace

Result<Weight> Weight::open(const format::WeightData& weight) {
  const format::WeightView view = weight.view();
  return open(view.desc());
}

Result<Weight> Weight::open(const tsr_weight_desc& desc) {
  TSR_RETURN_IF_ERROR(format::check_weight(desc));
  Weight weight;
  weight.format_ = desc.format;
  weight.N_ = desc.N;
  weight.K_ = desc.K;
  TSR_RETURN_IF_ERROR(weight.read_planes(desc).annotate(
      "weight " + format::weight_format_name(desc.format)));
  return weight;
}

Status Weight::read_planes(const tsr_weight_desc& desc) {
  TSR_RETURN_IF_ERROR(check_data(desc));
  codes_ = *format::find_plane(desc, TSR_PLANE_CODES);
  scale_ = format::find_plane(desc, TSR_PLANE_SCALE);
  scale2_ = format::find_plane(desc, TSR_PLANE_SCALE2);
  zero_point_ = format::find_plane(desc, TSR_PLANE_ZERO_POINT);
  min_ = format::find_plane(desc, TSR_PLANE_MIN);
  TSR_RETURN_IF_ERROR(read_small_planes(desc));
  if (format_ == TSR_WEIGHT_SPARSE_FIXED) return expand_sparse(desc);
  return {};
}

Status Weight::read_small_planes(const tsr_weight_desc& desc) {
  permutation_ = vector_plane<int32_t>(desc, TSR_PLANE_PERMUTATION);
  for (const int32_t feature : permutation_) {
    if (feature < 0 || static_cast<uint32_t>(feature) >= K_) {
      return Status(TSR_INVALID_ARGUMENT, "permutation names feature " +
                                              std::to_string(feature) + " of " +
                                              std::to_string(K_));
    }
  }
  input_multiplier_ = vector_plane<float>(desc, TSR_PLANE_INPUT_MULTIPLIER);
  quant_bias_ = vector_plane<int32_t>(desc, TSR_PLANE_QUANT_BIAS);

  const auto scales = vector_plane<float>(desc, TSR_PLANE_ACT_SCALE);
  const auto invs = vector_plane<float>(desc, TSR_PLANE_ACT_INV);
  const auto zeros = vector_plane<int32_t>(desc, TSR_PLANE_ACT_ZERO_POINT);
  if (!scales.empty() && !invs.empty()) {
    static_activation_ = {scales[0], invs[0], zeros.empty() ? 0 : zeros[0]};
  }
  return {};
}

Status Weight::expand_sparse(const tsr_weight_desc& desc) {
  const tsr_plane index = *format::find_plane(desc, TSR_PLANE_INDEX);
  const std::span<const std::byte> bytes(plane_row(codes_, 0), codes_.cols);
  TSR_ASSIGN_OR_RETURN(expanded_,
                       expand_sparse_tiles(N_, K_, bytes, plane_row(index, 0)));
  return {};
}

double Weight::code(uint32_t n, uint32_t k) const {
  if (!expanded_.empty()) return expanded_[size_t{n} * K_ + k];
  return format::element_value(codes_.dtype, plane_row(codes_, n), k);
}

double Weight::zero_point(uint32_t n, uint32_t k) const {
  if (zero_point_) {  // same blocks as SCALE
    return format::element_value(zero_point_->dtype,
                                 plane_row(*zero_point_, n / scale_->block_n),
                                 k / scale_->block_k);
  }
  if (min_) return 0.0;
  if (format_ == TSR_WEIGHT_U8) return 128.0;
  if (format_ == TSR_WEIGHT_U4) return 8.0;
  return 0.0;
}

float Weight::scale(uint32_t n, uint32_t k) const {
  return scale_ ? static_cast<float>(block_value(*scale_, n, k)) : 1.0f;
}

float Weight::scale2(uint32_t n) const {
  return scale2_ ? static_cast<float>(block_value(*scale2_, n, 0)) : 1.0f;
}

uint32_t Weight::group_size() const {
  return scale_ && scale_->cols > 1 ? scale_->block_k : K_;
}

double Weight::min(uint32_t n, uint32_t k) const {
  if (!min_) return 0.0;  // else the same blocks as SCALE
  return format::element_value(
      min_->dtype, plane_row(*min_, n / scale_->block_n), k / scale_->block_k);
}

void Weight::decode_blocks(uint32_t n, std::span<double> out_row) const {
  const format::GgufBlock* block = format::find_gguf_block(format_);
  const std::byte* place = plane_row(codes_, n);
  for (uint32_t k = 0; k < K_; k += block->values) {
    format::decode_gguf_block(format_, place, &out_row[k]);
    place += block->bytes;
  }
}

void Weight::decode_row(uint32_t n, std::span<double> out_row) const {
  if (!kept_values_.empty()) {
    std::copy_n(&kept_values_[size_t{n} * K_], K_, out_row.begin());
    return;
  }
  if (format::find_gguf_block(format_) != nullptr) {
    return decode_blocks(n, out_row);
  }
  const double second = scale2(n);
  const uint32_t group = group_size();
  for (uint32_t begin = 0; begin < K_; begin += group) {
    const double s = scale(n, begin);
    const double z = zero_point(n, begin);
    const double m = min(n, begin);
    const uint32_t end = std::min(begin + group, K_);
    for (uint32_t k = begin; k < end; ++k) {
      out_row[k] = s * (code(n, k) - z) * second + m;
    }
  }
}

void Weight::keep_decoded() {
  std::vector<double> values(size_t{N_} * K_);
  for (uint32_t n = 0; n < N_; ++n) {
    decode_row(n, std::span<double>(values).subspan(size_t{n} * K_, K_));
  }
  kept_values_ = std::move(values);
}

void Weight::keep_integers() {
  std::vector<int32_t> values(size_t{N_} * K_);
  for (uint32_t n = 0; n < N_; ++n) {
    integer_row(n, std::span<int32_t>(values).subspan(size_t{n} * K_, K_));
  }
  kept_integers_ = std::move(values);
}

bool Weight::has_integers() const {
  switch (format_) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
    case TSR_WEIGHT_SPARSE_FIXED:
      return !min_;
    default:
      return false;
  }
}

int32_t Weight::max_integer() const {
  // Byte minus byte, or nibble minus byte.
  if (zero_point_) return codes_.dtype == zero_point_->dtype ? 255 : 383;
  const bool four_bits = format_ == TSR_WEIGHT_I4 || format_ == TSR_WEIGHT_U4;
  return four_bits ? 8 : 128;
}

void Weight::integer_row(uint32_t n, std::span<int32_t> out_row) const {
  if (!kept_integers_.empty()) {
    std::copy_n(&kept_integers_[size_t{n} * K_], K_, out_row.begin());
    return;
  }
  const uint32_t group = group_size();
  for (uint32_t begin = 0; begin < K_; begin += group) {
    const double z = zero_point(n, begin);
    const uint32_t end = std::min(begin + group, K_);
    for (uint32_t k = begin; k < end; ++k) {
      out_row[k] = static_cast<int32_t>(code(n, k) - z);
    }
  }
}

}  // namespace tessera::reference
