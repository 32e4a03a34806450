// SPDX-License-Identifier: Apache-2.0

#include "framework/format/decode.hpp"

#include <span>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/format/weight_check.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::format {
namespace {

// One value per block of W; `missing` where there is no such plane.
struct Blocked {
  const Plane* plane;
  double missing;

  double at(uint32_t n, uint32_t k) const {
    if (plane == nullptr) return missing;
    return element_value(plane->dtype, plane->row(n / plane->block_n),
                         k / plane->block_k);
  }
};

double missing_zero_point(uint32_t format) {
  if (format == TSR_WEIGHT_U4) return 8.0;
  return format == TSR_WEIGHT_U8 ? 128.0 : 0.0;
}

// The same weight with a code per element.
Result<WeightData> expanded(const WeightData& weight) {
  TSR_ASSIGN_OR_RETURN(const std::vector<int8_t> codes,
                       decode_sparse_fixed(weight));
  const auto bytes = std::as_bytes(std::span(codes));
  WeightData dense{TSR_WEIGHT_I8, weight.N, weight.K, {}};
  dense.planes.push_back({TSR_PLANE_CODES,
                          TSR_I8,
                          weight.N,
                          weight.K,
                          1,
                          1,
                          {bytes.begin(), bytes.end()},
                          {}});
  dense.planes.push_back(*weight.find(TSR_PLANE_SCALE));
  return dense;
}

}  // namespace

Result<std::vector<float>> decode_weight(const WeightData& weight) {
  if (weight.format == TSR_WEIGHT_SPARSE_FIXED) {
    TSR_ASSIGN_OR_RETURN(const WeightData dense, expanded(weight));
    return decode_weight(dense);
  }
  if (weight_code_dtype(weight.format) == TSR_DTYPE_NONE) {
    return Status(TSR_UNIMPLEMENTED, weight_format_name(weight.format) +
                                         " has no codes of its elements");
  }
  const Plane& codes = *weight.find(TSR_PLANE_CODES);
  const Blocked scale = {weight.find(TSR_PLANE_SCALE), 1.0};
  const Blocked scale2 = {weight.find(TSR_PLANE_SCALE2), 1.0};
  const Blocked zero = {weight.find(TSR_PLANE_ZERO_POINT),
                        missing_zero_point(weight.format)};
  const Blocked min = {weight.find(TSR_PLANE_MIN), 0.0};
  const Plane* const order = weight.find(TSR_PLANE_PERMUTATION);
  std::vector<float> values(size_t{weight.N} * weight.K);
  for (uint32_t n = 0; n < weight.N; ++n) {
    float* const row = values.data() + size_t{n} * weight.K;
    for (uint32_t k = 0; k < weight.K; ++k) {
      const double code = element_value(codes.dtype, codes.row(n), k);
      const double value =
          min.plane == nullptr
              ? scale.at(n, k) * (code - zero.at(n, k)) * scale2.at(n, k)
              : scale.at(n, k) * code + min.at(n, k);
      const auto to = order == nullptr
                          ? k
                          : load_element<uint32_t>(order->bytes().data(), k);
      row[to] = static_cast<float>(value);
    }
  }
  return values;
}

}  // namespace tessera::format
