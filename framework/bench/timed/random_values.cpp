// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/timed/random_values.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/ops.h"

namespace tessera::bench {
namespace {

constexpr uint32_t kDistinctRows = 512;
constexpr float kLargest = 8.0f;  // that static activations are scaled for

format::Plane small_plane(uint32_t role, uint32_t dtype) {
  format::Plane plane;
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = 1;
  plane.cols = 1;
  plane.owned.resize(dtype_bytes(dtype, 1));
  return plane;
}

void add_static_activation(format::WeightData& weight) {
  const float scale = kLargest / 127.0f;
  weight.planes.push_back(small_plane(TSR_PLANE_ACT_SCALE, TSR_F32));
  format::store_element(weight.planes.back().owned.data(), 0, scale);
  weight.planes.push_back(small_plane(TSR_PLANE_ACT_INV, TSR_F32));
  format::store_element(weight.planes.back().owned.data(), 0, 1.0f / scale);
}

// Repeats the rows of `plane`, which has one per row of W, until there are
// `rows`.
void repeat_rows(format::Plane& plane, uint32_t rows) {
  const uint64_t row_bytes = plane.row_bytes();
  std::vector<std::byte> all(uint64_t{rows} * row_bytes);
  for (uint32_t n = 0; n < rows; ++n) {
    std::memcpy(all.data() + n * row_bytes, plane.row(n % plane.rows),
                row_bytes);
  }
  plane.owned = std::move(all);
  plane.rows = rows;
}

// Codes of W8A8S: fifteen levels but for one in fifty.
void sparsify(format::Plane& codes) {
  constexpr int kStep = 18;  // -126, -108 .. 126
  std::mt19937 rng(7);
  for (std::byte& byte : codes.owned) {
    if (rng() % 50 == 0) continue;
    const auto code = static_cast<int8_t>(byte);
    const auto level =
        static_cast<int>(std::lround(static_cast<double>(code) / kStep));
    byte = static_cast<std::byte>(std::clamp(level, -7, 7) * kStep);
  }
}

Result<format::WeightData> compress(format::WeightData weight) {
  const std::vector<std::byte>& codes = weight.find(TSR_PLANE_CODES)->owned;
  TSR_ASSIGN_OR_RETURN(
      format::SparseTiles tiles,
      format::encode_sparse_fixed(
          weight.N, weight.K,
          {reinterpret_cast<const int8_t*>(codes.data()), codes.size()}));
  return format::sparse_fixed_weight(std::move(tiles),
                                     std::move(*weight.find(TSR_PLANE_SCALE)));
}

}  // namespace

std::vector<float> random_values(size_t count, uint32_t seed, float deviation) {
  std::mt19937 rng(seed);
  std::vector<float> values(count);
  // The sum of four uniform bytes: bell-shaped, of variance 4 (256^2 - 1) / 12.
  constexpr float kDeviation = 147.8f;
  for (float& value : values) {
    const auto bits = static_cast<uint32_t>(rng());
    const uint32_t sum =
        (bits & 255U) + (bits >> 8 & 255U) + (bits >> 16 & 255U) + (bits >> 24);
    value = (static_cast<float>(sum) - 510.0f) * (deviation / kDeviation);
  }
  return values;
}

std::vector<std::byte> round_to_bytes(std::span<float> values, uint32_t dtype) {
  std::vector<std::byte> bytes(dtype_bytes(dtype, values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    format::set_element_value(dtype, bytes.data(), i, values[i]);
    values[i] =
        static_cast<float>(format::element_value(dtype, bytes.data(), i));
  }
  return bytes;
}

std::vector<float> values_of(std::span<const std::byte> bytes, uint32_t dtype) {
  std::vector<float> values(bytes.size() / dtype_bytes(dtype, 1));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] =
        static_cast<float>(format::element_value(dtype, bytes.data(), i));
  }
  return values;
}

Result<format::WeightData> random_weight(const Scheme& scheme, uint32_t N,
                                         uint32_t K) {
  const bool is_sparse = scheme.weight_format == TSR_WEIGHT_SPARSE_FIXED;
  format::WeightScheme form;
  form.format = is_sparse ? uint32_t{TSR_WEIGHT_I8} : scheme.weight_format;
  form.group_size = scheme.group_size;
  form.symmetric = scheme.symmetric;
  const uint32_t distinct = std::min(N, kDistinctRows);
  const float deviation = 1.0f / std::sqrt(static_cast<float>(K));
  const std::vector<float> values =
      random_values(size_t{distinct} * K, 42, deviation);
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       format::encode_weight(form, distinct, K, values));
  for (format::Plane& plane : weight.planes) {
    if (plane.rows == distinct && N > distinct) repeat_rows(plane, N);
    if (plane.block_n == distinct && distinct > 1) plane.block_n = N;
  }
  weight.N = N;
  if (scheme.sparsified) sparsify(*weight.find(TSR_PLANE_CODES));
  if (is_sparse) {
    TSR_ASSIGN_OR_RETURN(weight, compress(std::move(weight)));
  }
  if (has_static_activations(scheme.act_quant)) add_static_activation(weight);
  return weight;
}

}  // namespace tessera::bench
