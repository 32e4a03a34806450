// SPDX-License-Identifier: Apache-2.0
//
// Planes of an integer weight.

#include "framework/quant/weights/integer_weight.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "framework/format/element.hpp"
#include "framework/format/row_codec.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

Status check_scheme(const format::WeightScheme& scheme) {
  const uint32_t format = scheme.format;
  if (format != TSR_WEIGHT_I8 && format != TSR_WEIGHT_U8 &&
      format != TSR_WEIGHT_I4 && format != TSR_WEIGHT_U4) {
    return Status(TSR_INVALID_ARGUMENT,
                  format::weight_format_name(format) + " is no integer format");
  }
  if (format == TSR_WEIGHT_I4 && !scheme.symmetric) {
    return Status(TSR_INVALID_ARGUMENT, "i4 has no zero point");
  }
  if (scheme.two_level) {
    return Status(TSR_UNIMPLEMENTED,
                  "two-level scales: only rounding to nearest has them");
  }
  if (scheme.per_tensor && scheme.group_size != 0) {
    return Status(TSR_INVALID_ARGUMENT, "per tensor and group_size=" +
                                            std::to_string(scheme.group_size) +
                                            " exclude each other");
  }
  if (scheme.scale_dtype != TSR_F32 && scheme.scale_dtype != TSR_F16 &&
      scheme.scale_dtype != TSR_BF16) {
    return Status(TSR_INVALID_ARGUMENT,
                  "scales of " + dtype_name(scheme.scale_dtype));
  }
  return {};
}

}  // namespace

Result<IntegerWeight> IntegerWeight::create(const format::WeightScheme& scheme,
                                            uint32_t N, uint32_t K) {
  TSR_RETURN_IF_ERROR(check_scheme(scheme));
  if (N == 0 || K == 0 || K > 1U << 30) {
    return Status(TSR_INVALID_ARGUMENT, "shape [" + std::to_string(N) + ", " +
                                            std::to_string(K) + "]");
  }
  return IntegerWeight(scheme, N, K);
}

IntegerWeight::IntegerWeight(const format::WeightScheme& scheme, uint32_t N,
                             uint32_t K)
    : scheme_(scheme),
      grid_(format::integer_grid(scheme)),
      group_size_(scheme.group_size == 0 ? K : std::min(scheme.group_size, K)),
      num_groups_((K - 1) / group_size_ + 1),
      weight_{scheme.format, N, K, {}} {
  const bool is_8_bits =
      scheme.format == TSR_WEIGHT_I8 || scheme.format == TSR_WEIGHT_U8;
  const bool is_signed =
      scheme.format == TSR_WEIGHT_I8 || scheme.format == TSR_WEIGHT_I4;
  const uint32_t codes =
      is_8_bits ? (is_signed ? TSR_I8 : TSR_U8) : (is_signed ? TSR_I4 : TSR_U4);
  const uint32_t block_n = scheme.per_tensor ? N : 1;
  add_plane(TSR_PLANE_CODES, codes, K, 1, 1);
  add_plane(TSR_PLANE_SCALE, scheme.scale_dtype, num_groups_, block_n,
            group_size_);
  if (!scheme.symmetric) {
    add_plane(TSR_PLANE_ZERO_POINT, is_signed ? TSR_I8 : TSR_U8, num_groups_,
              block_n, group_size_);
  }
}

void IntegerWeight::add_plane(uint32_t role, uint32_t dtype, uint32_t cols,
                              uint32_t block_n, uint32_t block_k) {
  const uint32_t rows = (weight_.N - 1) / block_n + 1;
  format::Plane plane{role, dtype, rows, cols, block_n, block_k, {}, {}};
  plane.owned.resize(rows * plane.row_bytes());
  weight_.planes.push_back(std::move(plane));
}

void IntegerWeight::set_group(uint32_t n, uint32_t g,
                              format::GroupScale group) {
  const uint32_t row = scheme_.per_tensor ? 0 : n;
  format::Plane& scale = weight_.planes[1];
  format::set_element_value(scale.dtype, scale.mutable_row(row), g,
                            group.scale);
  if (scheme_.symmetric) return;
  format::Plane& zero_point = weight_.planes[2];
  format::set_element_value(zero_point.dtype, zero_point.mutable_row(row), g,
                            static_cast<float>(group.zero_point));
}

void IntegerWeight::set_codes(uint32_t n, std::span<const int32_t> codes) {
  format::Plane& plane = weight_.planes[0];
  format::store_codes(plane.dtype, codes, 0, plane.mutable_row(n));
}

void IntegerWeight::set_permutation(std::span<const uint32_t> order) {
  add_plane(TSR_PLANE_PERMUTATION, TSR_I32, weight_.K, weight_.N, 0);
  format::Plane& plane = weight_.planes.back();
  plane.block_n = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    format::store_element(plane.owned.data(), k,
                          static_cast<int32_t>(order[k]));
  }
}

bool is_integer_weight(const format::WeightData& weight) {
  const uint32_t format = weight.format;
  return (format == TSR_WEIGHT_I8 || format == TSR_WEIGHT_U8 ||
          format == TSR_WEIGHT_I4 || format == TSR_WEIGHT_U4) &&
         weight.find(TSR_PLANE_SCALE) != nullptr &&
         weight.find(TSR_PLANE_SCALE2) == nullptr &&
         weight.find(TSR_PLANE_MIN) == nullptr;
}

void decode_integer_row(const format::WeightData& weight, uint32_t n,
                        std::span<float> out_row) {
  const format::Plane& codes = *weight.find(TSR_PLANE_CODES);
  const format::Plane& scale = *weight.find(TSR_PLANE_SCALE);
  const format::Plane* zero_point = weight.find(TSR_PLANE_ZERO_POINT);
  int32_t middle = 0;
  if (weight.format == TSR_WEIGHT_U8) middle = 128;
  if (weight.format == TSR_WEIGHT_U4) middle = 8;
  std::vector<int32_t> row(weight.K);
  format::load_codes(codes.dtype, codes.row(n), 0, row);
  const uint32_t block = n / scale.block_n;
  const uint32_t group = scale.cols > 1 ? scale.block_k : weight.K;
  for (uint32_t begin = 0; begin < weight.K; begin += group) {
    const uint32_t g = begin / group;
    const size_t size = std::min(group, weight.K - begin);
    const format::GroupScale chosen{
        static_cast<float>(
            format::element_value(scale.dtype, scale.row(block), g)),
        zero_point == nullptr
            ? middle
            : static_cast<int32_t>(format::element_value(
                  zero_point->dtype, zero_point->row(block), g))};
    format::integer_values(chosen, std::span(row).subspan(begin, size),
                           out_row.subspan(begin, size));
  }
}

Status check_values(uint32_t N, uint32_t K, std::span<const float> values) {
  if (values.size() != uint64_t{N} * K) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(values.size()) + " values for [" +
                      std::to_string(N) + ", " + std::to_string(K) + "]");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "row " + std::to_string(i / K) + ": column " +
                      std::to_string(i % K) + " is " +
                      (std::isnan(values[i]) ? "NaN" : "infinite"));
  }
  return {};
}

}  // namespace tessera::quant
