// SPDX-License-Identifier: Apache-2.0
//
// Lays out the planes of a scheme and fills them row by row.

#include "framework/format/encode.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/format/encode_group.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/small_float.hpp"
#include "framework/format/weight_check.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::format {
namespace {

enum class Kind { kNone, kDense, kInteger, kFloat, kMxfp4, kNvfp4, kGguf };

Kind kind_of(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_F32:
    case TSR_WEIGHT_F16:
    case TSR_WEIGHT_BF16:
      return Kind::kDense;
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return Kind::kInteger;
    case TSR_WEIGHT_F8E4M3:
    case TSR_WEIGHT_F8E5M2:
    case TSR_WEIGHT_F4E2M1:
      return Kind::kFloat;
    case TSR_WEIGHT_MXFP4:
      return Kind::kMxfp4;
    case TSR_WEIGHT_NVFP4:
      return Kind::kNvfp4;
    default: {
      const GgufBlock* block = find_gguf_block(format);
      return block != nullptr && block->has_encoder ? Kind::kGguf : Kind::kNone;
    }
  }
}

Status check_integers(const WeightScheme& scheme) {
  if (scheme.two_level &&
      (scheme.format != TSR_WEIGHT_I4 || scheme.per_tensor)) {
    return Status(TSR_INVALID_ARGUMENT, "two levels of scales");
  }
  if (!scheme.symmetric && (kind_of(scheme.format) != Kind::kInteger ||
                            scheme.format == TSR_WEIGHT_I4)) {
    return Status(TSR_INVALID_ARGUMENT, "the format has no zero point");
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

Status check_scheme(const WeightScheme& scheme, uint32_t N, uint32_t K) {
  const Kind kind = kind_of(scheme.format);
  if (kind == Kind::kNone) return Status(TSR_UNIMPLEMENTED, "no encoder");
  // 2^30 keeps every row of every format below 2^32 bytes.
  if (N == 0 || K == 0 || K > 1U << 30) {
    return Status(TSR_INVALID_ARGUMENT, "shape [" + std::to_string(N) + ", " +
                                            std::to_string(K) + "]");
  }
  if (kind == Kind::kGguf) {
    const uint32_t values = find_gguf_block(scheme.format)->values;
    if (K % values == 0) return {};
    return Status(TSR_INVALID_ARGUMENT,
                  "K=" + std::to_string(K) +
                      " is not a multiple of the block of " +
                      std::to_string(values));
  }
  return check_integers(scheme);
}

Status check_importance(std::span<const float> importance, uint32_t K) {
  if (!importance.empty() && importance.size() != K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "importance of " + std::to_string(importance.size()) +
                      " columns for K=" + std::to_string(K));
  }
  for (size_t k = 0; k < importance.size(); ++k) {
    if (std::isfinite(importance[k]) && importance[k] >= 0.0f) continue;
    return Status(TSR_INVALID_ARGUMENT, "importance of column " +
                                            std::to_string(k) + " is " +
                                            std::to_string(importance[k]));
  }
  return {};
}

// One weight on its way from rows to planes.
class Encoder {
 public:
  Encoder(const WeightScheme& scheme, uint32_t N, uint32_t K,
          const RowSource& rows, std::span<const float> importance)
      : scheme_(scheme),
        kind_(kind_of(scheme.format)),
        rows_(rows),
        importance_(importance),
        row_(K),
        weight_{scheme.format, N, K, {}} {
    scheme_.per_tensor = scheme_.per_tensor && has_scale();
    add_planes();
  }

  Status run() {
    if (kind_ == Kind::kNvfp4 || scheme_.per_tensor) {
      TSR_RETURN_IF_ERROR(find_tensor_range());
    }
    for (uint32_t n = 0; n < weight_.N; ++n) {
      TSR_RETURN_IF_ERROR(read_row(n));
      TSR_RETURN_IF_ERROR(encode_row(n).annotate("row " + std::to_string(n)));
    }
    return {};
  }

  WeightData take() && { return std::move(weight_); }

 private:
  bool has_scale() const {
    return kind_ == Kind::kInteger || kind_ == Kind::kFloat;
  }

  void add_plane(uint32_t role, uint32_t dtype, uint32_t cols, uint32_t block_n,
                 uint32_t block_k) {
    const uint32_t rows = (weight_.N + block_n - 1) / block_n;
    Plane plane{role, dtype, rows, cols, block_n, block_k, {}, {}};
    plane.owned.resize(rows * plane.row_bytes());
    weight_.planes.push_back(std::move(plane));
  }

  void add_scale_plane(uint32_t role, uint32_t dtype) {
    add_plane(role, dtype, num_groups(), scheme_.per_tensor ? weight_.N : 1,
              group_size());
  }

  void add_planes() {
    if (kind_ == Kind::kGguf) {
      const GgufBlock* block = find_gguf_block(scheme_.format);
      add_plane(TSR_PLANE_CODES, TSR_U8,
                row_size() / block->values * block->bytes, 1, 0);
      return;
    }
    add_plane(TSR_PLANE_CODES, weight_code_dtype(scheme_.format), row_size(), 1,
              1);
    if (kind_ == Kind::kMxfp4) add_scale_plane(TSR_PLANE_SCALE, TSR_E8M0);
    if (kind_ == Kind::kNvfp4) {
      add_scale_plane(TSR_PLANE_SCALE, TSR_F8E4M3);
      add_plane(TSR_PLANE_SCALE2, TSR_F32, 1, weight_.N, row_size());
    }
    if (scheme_.two_level) {
      add_scale_plane(TSR_PLANE_SCALE, TSR_U8);
      add_plane(TSR_PLANE_SCALE2, scheme_.scale_dtype, 1, 1, row_size());
    } else if (has_scale()) {
      add_scale_plane(TSR_PLANE_SCALE, scheme_.scale_dtype);
    }
    if (has_scale() && !scheme_.symmetric) {
      add_scale_plane(TSR_PLANE_ZERO_POINT,
                      scheme_.format == TSR_WEIGHT_I8 ? TSR_I8 : TSR_U8);
    }
  }

  uint32_t row_size() const { return weight_.K; }
  uint32_t group_size() const {
    if (kind_ == Kind::kMxfp4) return 32;
    if (kind_ == Kind::kNvfp4) return 16;
    return scheme_.group_size == 0 ? weight_.K
                                   : std::min(scheme_.group_size, weight_.K);
  }
  uint32_t num_groups() const {
    return (weight_.K + group_size() - 1) / group_size();
  }
  std::span<const float> group(uint32_t g) const {
    const size_t begin = size_t{g} * group_size();
    return std::span<const float>(row_).subspan(
        begin, std::min<size_t>(group_size(), row_.size() - begin));
  }
  std::byte* codes(uint32_t n) {
    return weight_.find(TSR_PLANE_CODES)->mutable_row(n);
  }
  void set_plane(uint32_t role, uint32_t n, uint32_t g, float value) {
    Plane& plane = *weight_.find(role);
    set_element_value(plane.dtype,
                      plane.mutable_row(scheme_.per_tensor ? 0 : n), g, value);
  }

  Status read_row(uint32_t n) {
    TSR_RETURN_IF_ERROR(rows_(n, row_));
    for (size_t k = 0; k < row_.size(); ++k) {
      if (!std::isfinite(row_[k])) {
        return Status(TSR_INVALID_ARGUMENT,
                      "row " + std::to_string(n) + ": column " +
                          std::to_string(k) + " is " +
                          (std::isnan(row_[k]) ? "NaN" : "infinite"));
      }
    }
    return {};
  }

  Status find_tensor_range() {
    for (uint32_t n = 0; n < weight_.N; ++n) {
      TSR_RETURN_IF_ERROR(read_row(n));
      tensor_range_ = merge(tensor_range_, range_of(row_));
    }
    if (kind_ != Kind::kNvfp4) return {};
    // Below this the scale of a group's scale would be subnormal.
    if (tensor_range_.amax() >= 0x1p-100f) {
      scale2_ = tensor_range_.amax() / (kF8E4M3Max * kF4E2M1Max);
    }
    set_element_value(TSR_F32, weight_.find(TSR_PLANE_SCALE2)->mutable_row(0),
                      0, scale2_);
    return {};
  }

  Status encode_row(uint32_t n) {
    switch (kind_) {
      case Kind::kDense:
        return encode_dense(n);
      case Kind::kGguf:
        return encode_gguf(n);
      default:
        break;
    }
    if (scheme_.two_level) return encode_two_levels(n);
    for (uint32_t g = 0; g < num_groups(); ++g) {
      switch (kind_) {
        case Kind::kInteger:
          TSR_RETURN_IF_ERROR(encode_integers(n, g));
          break;
        case Kind::kFloat:
          TSR_RETURN_IF_ERROR(encode_floats(n, g));
          break;
        case Kind::kMxfp4:
          encode_mxfp4(n, g);
          break;
        default:
          encode_nvfp4(n, g);
      }
    }
    return {};
  }

  Status encode_dense(uint32_t n) {
    const uint32_t dtype = weight_.planes[0].dtype;
    std::byte* row = codes(n);
    for (size_t k = 0; k < row_.size(); ++k) {
      set_element_value(dtype, row, k, row_[k]);
      if (!std::isfinite(element_value(dtype, row, k))) {
        return Status(TSR_INVALID_ARGUMENT, "column " + std::to_string(k) +
                                                " does not fit " +
                                                dtype_name(dtype));
      }
    }
    return {};
  }

  Status encode_gguf(uint32_t n) {
    const GgufBlock* block = find_gguf_block(scheme_.format);
    std::vector<double> decoded(block->values);
    std::byte* row = codes(n);
    for (size_t k = 0; k < row_.size(); k += block->values) {
      encode_gguf_block(scheme_.format, row_.data() + k,
                        importance_.empty() ? nullptr : importance_.data() + k,
                        row);
      decode_gguf_block(scheme_.format, row, decoded.data());
      for (const double value : decoded) {
        if (!std::isfinite(value)) return scale_overflow(TSR_F16);
      }
      row += block->bytes;
    }
    return {};
  }

  Status encode_integers(uint32_t n, uint32_t g) {
    const IntegerGrid grid = integer_grid(scheme_);
    const GroupScale chosen = choose_integer_scale(scheme_, scale_range(g));
    if (!std::isfinite(chosen.scale))
      return scale_overflow(scheme_.scale_dtype);
    set_plane(TSR_PLANE_SCALE, n, g, chosen.scale);
    if (!scheme_.symmetric) {
      set_plane(TSR_PLANE_ZERO_POINT, n, g,
                static_cast<float>(chosen.zero_point));
    }
    store_codes(n, g, [&](float value) {
      return static_cast<float>(integer_code(grid, chosen, value));
    });
    return {};
  }

  Status encode_two_levels(uint32_t n) {
    const float scale2 = choose_scale2(scheme_, range_of(row_).amax());
    if (!std::isfinite(scale2)) return scale_overflow(scheme_.scale_dtype);
    set_plane(TSR_PLANE_SCALE2, n, 0, scale2);
    for (uint32_t g = 0; g < num_groups(); ++g) {
      const int32_t scale = choose_two_level_scale(group(g), scale2);
      set_plane(TSR_PLANE_SCALE, n, g, static_cast<float>(scale));
      store_codes(n, g, [&](float value) {
        return static_cast<float>(two_level_code(scale, scale2, value));
      });
    }
    return {};
  }

  Status encode_floats(uint32_t n, uint32_t g) {
    const GroupScale chosen = choose_float_scale(scheme_, scale_range(g));
    if (!std::isfinite(chosen.scale))
      return scale_overflow(scheme_.scale_dtype);
    set_plane(TSR_PLANE_SCALE, n, g, chosen.scale);
    store_quotients(n, g, chosen.scale);
    return {};
  }

  void encode_mxfp4(uint32_t n, uint32_t g) {
    // Two below the exponent of amax, so that amax lands on codes 4 and 6.
    const uint32_t exponent = f32_to_e8m0(range_of(group(g)).amax());
    const auto code = static_cast<uint8_t>(std::max(exponent, 2U) - 2U);
    const float scale = e8m0_to_f32(code);
    set_plane(TSR_PLANE_SCALE, n, g, scale);
    store_quotients(n, g, scale);
  }

  void encode_nvfp4(uint32_t n, uint32_t g) {
    const float amax = range_of(group(g)).amax();
    const float scale =
        f8e4m3_to_f32(f32_to_f8e4m3(amax / (kF4E2M1Max * scale2_)));
    set_plane(TSR_PLANE_SCALE, n, g, scale);
    store_quotients(n, g, scale * scale2_);
  }

  Range scale_range(uint32_t g) const {
    return scheme_.per_tensor ? tensor_range_ : range_of(group(g));
  }

  void store_quotients(uint32_t n, uint32_t g, float scale) {
    store_codes(n, g, [&](float value) {
      return scale == 0.0f ? 0.0f : value / scale;
    });
  }

  template <typename CodeOf>
  void store_codes(uint32_t n, uint32_t g, const CodeOf& code_of) {
    const uint32_t dtype = weight_.planes[0].dtype;
    std::byte* row = codes(n);
    size_t k = size_t{g} * group_size();
    for (const float value : group(g)) {
      set_element_value(dtype, row, k++, code_of(value));
    }
  }

  static Status scale_overflow(uint32_t dtype) {
    return Status(TSR_INVALID_ARGUMENT,
                  "a scale does not fit " + dtype_name(dtype));
  }

  WeightScheme scheme_;
  Kind kind_;
  const RowSource& rows_;
  std::span<const float> importance_;  // [K] or empty
  std::vector<float> row_;
  WeightData weight_;
  Range tensor_range_;
  float scale2_ = 1.0f;  // NVFP4
};

}  // namespace

Result<WeightData> encode_rows(const WeightScheme& scheme, uint32_t N,
                               uint32_t K, const RowSource& rows,
                               std::span<const float> importance) {
  const std::string what = "encode " + weight_format_name(scheme.format);
  TSR_RETURN_IF_ERROR(check_scheme(scheme, N, K).annotate(what));
  TSR_RETURN_IF_ERROR(check_importance(importance, K).annotate(what));
  Encoder encoder(scheme, N, K, rows, importance);
  TSR_RETURN_IF_ERROR(encoder.run().annotate(what));
  return std::move(encoder).take();
}

Result<WeightData> encode_weight(const WeightScheme& scheme, uint32_t N,
                                 uint32_t K, std::span<const float> values,
                                 std::span<const float> importance) {
  if (values.size() != uint64_t{N} * K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "encode " + weight_format_name(scheme.format) + ": " +
                      std::to_string(values.size()) + " values for [" +
                      std::to_string(N) + ", " + std::to_string(K) + "]");
  }
  const auto read_row = [&](uint32_t n, std::span<float> out_row) -> Status {
    const auto row = values.subspan(size_t{n} * K, K);
    std::copy(row.begin(), row.end(), out_row.begin());
    return {};
  };
  return encode_rows(scheme, N, K, read_row, importance);
}

}  // namespace tessera::format
