// SPDX-License-Identifier: Apache-2.0

#include "weight.hpp"

#include <cstring>

namespace mutant {
namespace {

const tsr_plane* find(const std::vector<tsr_plane>& planes, uint32_t role) {
  for (const tsr_plane& plane : planes) {
    if (plane.role == role) return &plane;
  }
  return nullptr;
}

template <typename Value>
Value first_of(const tsr_plane* plane) {
  Value value{};
  if (plane != nullptr && plane->data != nullptr) {
    std::memcpy(&value, plane->data, sizeof(value));
  }
  return value;
}

}  // namespace

// Which of a row's zero points code k has.
uint32_t MutantWeight::zero_group(uint32_t k) const {
  const uint32_t g = k / group;
  const uint32_t groups = (K + group - 1) / group;
  const bool is_last = groups > 1 && g + 1 == groups;
  return has("last_zero_point_lost") && is_last ? g - 1 : g;
}

float MutantWeight::scale(uint32_t n, uint32_t k) const {
  if (format == TSR_WEIGHT_F32) return 1.0f;
  uint32_t g = k / group;
  if (has("scale_of_first_group")) g = 0;
  const uint32_t groups = (K + group - 1) / group;
  const bool last_odd = groups % 2 == 1 && groups > 1 && g + 1 == groups;
  if (has("scale_of_last_odd_group_lost") && last_odd) --g;
  if (has("scale_of_next_row") && n + 1 < N) ++n;
  float value = 0;
  std::memcpy(&value, row(n) + shape.codes + g * sizeof(float), sizeof(value));
  if (has("scale_sign_lost") && value < 0) value = -value;
  return value;
}

int32_t MutantWeight::code(uint32_t n, uint32_t k) const {
  if (format == TSR_WEIGHT_I8) return static_cast<signed char>(row(n)[k]);
  const auto pair = static_cast<unsigned char>(row(n)[k / 2]);
  const bool low = (k % 2 == 0) != has("nibbles_swapped");
  int32_t nibble = low ? pair & 15 : pair >> 4;
  if (has("codes_read_signed") && nibble > 7) nibble -= 16;
  int32_t zero = 8;
  if (has_zeros && !has("zero_point_ignored")) {
    zero = static_cast<unsigned char>(
        row(n)[shape.codes + shape.scales + zero_group(k)]);
  }
  return nibble - zero;
}

float MutantWeight::value(uint32_t n, uint32_t k) const {
  if (format == TSR_WEIGHT_F32) {
    float value = 0;
    std::memcpy(&value, row(n) + k * sizeof(float), sizeof(value));
    return value;
  }
  return scale(n, k) * static_cast<float>(code(n, k));
}

MutantWeight describe(const tsr_weight_desc& desc) {
  const auto planes = tessera::sdk::Elements<tsr_plane>(desc.planes).all();
  if ((desc.N == 0 || desc.K == 0) && !has("divides_by_zero")) {
    throw tessera::sdk::Error(TSR_INVALID_ARGUMENT, "a weight of size 0");
  }
  MutantWeight weight;
  weight.format = desc.format;
  weight.N = desc.N;
  weight.K = desc.K;
  const tsr_plane* scale = find(planes, TSR_PLANE_SCALE);
  weight.group = desc.K;
  if (scale != nullptr && scale->block_k != 0 && scale->block_k < desc.K) {
    weight.group = scale->block_k;
  }
  const uint64_t groups = (desc.K + weight.group - 1) / weight.group;
  weight.has_zeros = find(planes, TSR_PLANE_ZERO_POINT) != nullptr;
  weight.shape.codes = desc.format == TSR_WEIGHT_F32  ? uint64_t{desc.K} * 4
                       : desc.format == TSR_WEIGHT_I8 ? desc.K
                                                      : (desc.K + 1) / 2;
  weight.shape.codes = (weight.shape.codes + 3) / 4 * 4;
  weight.shape.scales = scale == nullptr ? 0 : groups * 4;
  weight.shape.zeros = weight.has_zeros ? groups : 0;
  const tsr_plane* act_scale = find(planes, TSR_PLANE_ACT_SCALE);
  weight.has_static = act_scale != nullptr;
  weight.act_scale = first_of<float>(act_scale);
  weight.act_inv = first_of<float>(find(planes, TSR_PLANE_ACT_INV));
  weight.act_zero_point =
      first_of<int32_t>(find(planes, TSR_PLANE_ACT_ZERO_POINT));
  const tsr_plane* order = find(planes, TSR_PLANE_PERMUTATION);
  if (order != nullptr && order->data != nullptr) {
    weight.permutation.resize(desc.K);
    std::memcpy(weight.permutation.data(), order->data,
                desc.K * sizeof(int32_t));
  }
  return weight;
}

void MutantPacking::slice(uint32_t n_begin, uint32_t n_end,
                          const tsr_weight_desc& slice) {
  const auto planes = tessera::sdk::Elements<tsr_plane>(slice.planes).all();
  const PackedShape& shape = weight_.shape;
  packed_rows_ += n_end - n_begin;
  const auto copy = [&](uint32_t role, uint64_t at, uint64_t bytes) {
    const tsr_plane* plane = find(planes, role);
    if (plane == nullptr) return;
    // Of a scale for all rows, every row has a copy.
    const bool shared = plane->rows == 1 && n_end - n_begin > 1;
    for (uint32_t n = n_begin; n < n_end; ++n) {
      const uint64_t from = shared ? 0 : (n - n_begin) * plane->row_bytes;
      std::memcpy(packed_ + n * shape.row() + at,
                  static_cast<const char*>(plane->data) + from,
                  bytes < plane->row_bytes ? bytes : plane->row_bytes);
    }
  };
  copy(TSR_PLANE_CODES, 0, shape.codes);
  copy(TSR_PLANE_SCALE, shape.codes, shape.scales);
  copy(TSR_PLANE_ZERO_POINT, shape.codes + shape.scales, shape.zeros);
}

void MutantPacking::commit() {
  // The weight is there already.
  if (has("cancelled_packing_commits")) return;
  if (packed_rows_ != weight_.N && !has("commits_missing_rows")) {
    throw tessera::sdk::Error(TSR_FAILED_PRECONDITION, "rows are missing");
  }
  table_.insert(id_, std::make_shared<MutantWeight>(std::move(weight_)));
}

}  // namespace mutant
