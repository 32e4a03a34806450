// SPDX-License-Identifier: Apache-2.0
//
// Names of weight formats, and how host planes become C descriptors.

#include "framework/format/weight.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "framework/tensor/dtype.hpp"

namespace tessera::format {
namespace {

struct FormatName {
  uint32_t format;
  std::string_view name;
};

constexpr FormatName kFormatNames[] = {
    {TSR_WEIGHT_F32, "f32"},
    {TSR_WEIGHT_F16, "f16"},
    {TSR_WEIGHT_BF16, "bf16"},
    {TSR_WEIGHT_I8, "i8"},
    {TSR_WEIGHT_U8, "u8"},
    {TSR_WEIGHT_I4, "i4"},
    {TSR_WEIGHT_U4, "u4"},
    {TSR_WEIGHT_F8E4M3, "f8e4m3"},
    {TSR_WEIGHT_F8E5M2, "f8e5m2"},
    {TSR_WEIGHT_F4E2M1, "f4e2m1"},
    {TSR_WEIGHT_MXFP4, "mxfp4"},
    {TSR_WEIGHT_NVFP4, "nvfp4"},
    {TSR_WEIGHT_Q4_0, "q4_0"},
    {TSR_WEIGHT_Q4_1, "q4_1"},
    {TSR_WEIGHT_Q5_0, "q5_0"},
    {TSR_WEIGHT_Q5_1, "q5_1"},
    {TSR_WEIGHT_Q8_0, "q8_0"},
    {TSR_WEIGHT_Q4_K, "q4_k"},
    {TSR_WEIGHT_Q6_K, "q6_k"},
    {TSR_WEIGHT_SPARSE_FIXED, "sparse_fixed"},
    {TSR_WEIGHT_SPARSE_ENTROPY, "sparse_entropy"},
    {TSR_WEIGHT_Q2_K, "q2_k"},
    {TSR_WEIGHT_Q3_K, "q3_k"},
    {TSR_WEIGHT_Q5_K, "q5_k"},
    {TSR_WEIGHT_IQ4_NL, "iq4_nl"},
};

tsr_plane c_plane(const Plane& plane) {
  tsr_plane result{};
  result.struct_size = sizeof(result);
  result.role = plane.role;
  result.dtype = plane.dtype;
  result.rows = plane.rows;
  result.cols = plane.cols;
  result.block_n = plane.block_n;
  result.block_k = plane.block_k;
  result.row_bytes = plane.row_bytes();
  result.data = plane.bytes().data();
  return result;
}

Status check_range(const WeightData& weight, uint32_t n_begin, uint32_t n_end) {
  if (n_begin < n_end && n_end <= weight.N) return {};
  return Status(TSR_INVALID_ARGUMENT, "rows " + std::to_string(n_begin) +
                                          " to " + std::to_string(n_end) +
                                          " of a weight of " +
                                          std::to_string(weight.N));
}

// Rows n_begin .. n_end - 1 of W, in `plane`.
Status cut(tsr_plane& plane, uint32_t N, uint32_t n_begin, uint32_t n_end) {
  if (plane.block_n == 0) return {};
  if (plane.block_n >= N) {
    plane.block_n = n_end - n_begin;
    return {};
  }
  if (n_begin % plane.block_n != 0 ||
      (n_end % plane.block_n != 0 && n_end != N)) {
    return Status(TSR_UNIMPLEMENTED, "rows " + std::to_string(n_begin) +
                                         " to " + std::to_string(n_end) +
                                         " cut through a block of " +
                                         std::to_string(plane.block_n));
  }
  const uint32_t first = n_begin / plane.block_n;
  const uint32_t last = (n_end - 1) / plane.block_n;
  plane.data =
      static_cast<const std::byte*>(plane.data) + first * plane.row_bytes;
  plane.rows = last - first + 1;
  return {};
}

}  // namespace

std::string weight_format_name(uint32_t format) {
  for (const FormatName& row : kFormatNames) {
    if (row.format == format) return std::string(row.name);
  }
  return "weight format " + std::to_string(format);
}

uint32_t weight_format_from_name(std::string_view name) {
  for (const FormatName& row : kFormatNames) {
    if (row.name == name) return row.format;
  }
  return 0;
}

uint64_t Plane::row_bytes() const { return dtype_bytes(dtype, cols); }

tsr_weight_desc WeightView::desc() const {
  tsr_weight_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = format_;
  desc.N = rows_;
  desc.K = cols_;
  desc.planes = {planes_.data(), static_cast<uint32_t>(planes_.size()),
                 sizeof(tsr_plane)};
  return desc;
}

const Plane* WeightData::find(uint32_t role) const {
  const auto found =
      std::find_if(planes.begin(), planes.end(),
                   [&](const Plane& plane) { return plane.role == role; });
  return found == planes.end() ? nullptr : &*found;
}

Plane* WeightData::find(uint32_t role) {
  return const_cast<Plane*>(std::as_const(*this).find(role));
}

uint64_t WeightData::bytes() const {
  uint64_t total = 0;
  for (const Plane& plane : planes) total += plane.bytes().size();
  return total;
}

WeightView WeightData::view() const {
  WeightView view;
  view.format_ = format;
  view.rows_ = N;
  view.cols_ = K;
  for (const Plane& plane : planes) view.planes_.push_back(c_plane(plane));
  return view;
}

Result<WeightView> WeightData::slice(uint32_t n_begin, uint32_t n_end) const {
  TSR_RETURN_IF_ERROR(check_range(*this, n_begin, n_end));
  WeightView result = view();
  if (n_begin == 0 && n_end == N) return result;
  if (format == TSR_WEIGHT_SPARSE_FIXED ||
      format == TSR_WEIGHT_SPARSE_ENTROPY) {
    return Status(TSR_UNIMPLEMENTED,
                  "rows of a " + weight_format_name(format) + " weight");
  }
  result.rows_ = n_end - n_begin;
  for (tsr_plane& plane : result.planes_) {
    TSR_RETURN_IF_ERROR(cut(plane, N, n_begin, n_end));
  }
  return result;
}

Result<WeightData> borrow_dense_weight(uint32_t format, uint32_t N, uint32_t K,
                                       std::span<const std::byte> bytes) {
  const uint32_t dtype = format == TSR_WEIGHT_F32    ? TSR_F32
                         : format == TSR_WEIGHT_F16  ? TSR_F16
                         : format == TSR_WEIGHT_BF16 ? TSR_BF16
                                                     : TSR_DTYPE_NONE;
  if (dtype == TSR_DTYPE_NONE) {
    return Status(TSR_INVALID_ARGUMENT,
                  weight_format_name(format) + " is not a dense format");
  }
  const size_t element_bytes = dtype_bits(dtype) / 8;
  if (N == 0 || K == 0 || bytes.size() % element_bytes != 0 ||
      bytes.size() / element_bytes != uint64_t{N} * K) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(bytes.size()) + " bytes for " +
                      weight_format_name(format) + " [" + std::to_string(N) +
                      ", " + std::to_string(K) + "]");
  }
  WeightData weight{format, N, K, {}};
  weight.planes.push_back(Plane{TSR_PLANE_CODES, dtype, N, K, 1, 1, {}, bytes});
  return weight;
}

}  // namespace tessera::format
