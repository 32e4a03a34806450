// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/function/linear/planes.hpp"

#include <algorithm>
#include <cstring>

#include "backends/npu_sim/function/linear/sparse_tile.hpp"
#include "tessera/names.hpp"
#include "tessera/places.hpp"
#include "tessera/record.hpp"

namespace tessera::npu {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "weight: " + why);
}

const char* element_row(const tsr_plane& plane, uint64_t row) {
  return static_cast<const char*>(plane.data) + row * plane.row_bytes;
}

// An element of a scale-like plane as f32.
float read_scale(const tsr_plane& plane, uint64_t row, uint64_t col) {
  const char* data = element_row(plane, row);
  switch (plane.dtype) {
    case TSR_F32: {
      float value = 0.0f;
      std::memcpy(&value, data + 4 * col, 4);
      return value;
    }
    case TSR_U8:
      return static_cast<float>(static_cast<uint8_t>(data[col]));
    default: {
      uint16_t half = 0;
      std::memcpy(&half, data + 2 * col, 2);
      return plane.dtype == TSR_F16 ? f32_from_f16(half) : f32_from_bf16(half);
    }
  }
}

void require_scale_dtype(const tsr_plane& plane) {
  if (plane.dtype == TSR_F32 || plane.dtype == TSR_F16 ||
      plane.dtype == TSR_BF16 || plane.dtype == TSR_U8) {
    return;
  }
  refuse("plane " + sdk::names::plane_role(plane.role) + " is " +
         sdk::names::dtype(plane.dtype) + ", not f32, f16, bf16 or u8");
}

int32_t nibble(const char* row, int64_t k) {
  const auto byte = static_cast<uint8_t>(row[k / 2]);
  return k % 2 == 0 ? byte & 0xF : byte >> 4;
}

template <typename Element>
std::vector<Element> copy_elements(const tsr_plane& plane, uint64_t count) {
  std::vector<Element> elements(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t row = plane.cols == 0 ? 0 : i / plane.cols;
    std::memcpy(&elements[i],
                element_row(plane, row) + i % plane.cols * sizeof(Element),
                sizeof(Element));
  }
  return elements;
}

// Bytes of a row of codes, and rows, by format.
uint64_t code_columns(uint32_t format, uint64_t K) {
  switch (format) {
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return (K + 1) / 2;
    case TSR_WEIGHT_F16:
    case TSR_WEIGHT_BF16:
      return 2 * K;
    default:
      return K;
  }
}

}  // namespace

Planes::Planes(const tsr_weight_desc& desc)
    : format_(desc.format),
      N_(desc.N),
      K_(desc.K),
      planes_(sdk::Elements<tsr_plane>(desc.planes).all()) {
  if (N_ == 0 || K_ == 0) refuse("of size 0");
  codes_ = find(TSR_PLANE_CODES);
  if (codes_ == nullptr || codes_->data == nullptr) refuse("has no codes");
  if (format_ != TSR_WEIGHT_SPARSE_FIXED) {
    const uint64_t bytes = code_columns(format_, desc.K);
    if (codes_->rows < desc.N || codes_->row_bytes < bytes) {
      refuse("plane codes has " + std::to_string(codes_->rows) + " rows of " +
             std::to_string(codes_->row_bytes) + " bytes, not " +
             std::to_string(desc.N) + " of " + std::to_string(bytes));
    }
  }
  scale_ = blocked(TSR_PLANE_SCALE);
  scale2_ = blocked(TSR_PLANE_SCALE2);
  zero_point_ = blocked(TSR_PLANE_ZERO_POINT);
  if (scale_ != nullptr) require_scale_dtype(*scale_);
  if (scale2_ != nullptr) require_scale_dtype(*scale2_);
}

const tsr_plane* Planes::find(uint32_t role) const {
  for (const tsr_plane& plane : planes_) {
    if (plane.role == role) return &plane;
  }
  return nullptr;
}

const tsr_plane* Planes::checked(uint32_t role, uint64_t rows,
                                 uint64_t cols) const {
  const tsr_plane* plane = find(role);
  if (plane == nullptr) return nullptr;
  const uint64_t row_bytes =
      (uint64_t{plane->cols} * sdk::element_bits(plane->dtype) + 7) / 8;
  if (plane->data == nullptr || plane->rows < rows || plane->cols < cols ||
      (plane->rows > 1 && plane->row_bytes < row_bytes)) {
    refuse("plane " + sdk::names::plane_role(role) + " is [" +
           std::to_string(plane->rows) + ", " + std::to_string(plane->cols) +
           "], not [" + std::to_string(rows) + ", " + std::to_string(cols) +
           "]");
  }
  return plane;
}

const tsr_plane* Planes::blocked(uint32_t role) const {
  const tsr_plane* plane = find(role);
  if (plane == nullptr) return nullptr;
  if (plane->block_n == 0 || plane->block_k == 0) {
    refuse("plane " + sdk::names::plane_role(role) + " has blocks of 0");
  }
  const auto blocks = [](int64_t size, uint32_t block) {
    return (static_cast<uint64_t>(size) + block - 1) / block;
  };
  return checked(role, blocks(N_, plane->block_n), blocks(K_, plane->block_k));
}

const char* Planes::codes_row(int64_t n) const {
  return element_row(*codes_, static_cast<uint64_t>(n));
}

void Planes::integer_row(int64_t n, int32_t* out_row) const {
  const char* row = codes_row(n);
  switch (format_) {
    case TSR_WEIGHT_I8:
      for (int64_t k = 0; k < K_; ++k) {
        out_row[k] = int32_t{static_cast<int8_t>(row[k])};
      }
      break;
    case TSR_WEIGHT_I4:
      for (int64_t k = 0; k < K_; ++k) out_row[k] = (nibble(row, k) ^ 8) - 8;
      return;
    case TSR_WEIGHT_U4:
      for (int64_t k = 0; k < K_; ++k) out_row[k] = nibble(row, k);
      break;
    default:
      throw sdk::Error(TSR_UNIMPLEMENTED,
                       "weight: " + sdk::names::weight_format(format_) +
                           " has no integer codes here");
  }
  const int32_t missing = format_ == TSR_WEIGHT_U4 ? 8 : 0;
  if (zero_point_ == nullptr) {
    for (int64_t k = 0; k < K_; ++k) out_row[k] -= missing;
    return;
  }
  const char* zeros = element_row(
      *zero_point_, static_cast<uint64_t>(n) / zero_point_->block_n);
  for (int64_t k = 0; k < K_; ++k) {
    const char zero = zeros[k / zero_point_->block_k];
    out_row[k] -= zero_point_->dtype == TSR_I8
                      ? int32_t{static_cast<int8_t>(zero)}
                      : int32_t{static_cast<uint8_t>(zero)};
  }
}

void Planes::sparse_codes(int16_t* out_codes) const {
  const uint64_t tiles =
      static_cast<uint64_t>((N_ + kSparseTileRows - 1) / kSparseTileRows) *
      static_cast<uint64_t>((K_ + kSparseTileColumns - 1) / kSparseTileColumns);
  const tsr_plane* index = find(TSR_PLANE_INDEX);
  if (index == nullptr || index->data == nullptr || index->dtype != TSR_I64 ||
      uint64_t{index->rows} * index->cols < tiles + 1) {
    refuse("plane index is missing, or not i64 [" + std::to_string(tiles + 1) +
           "]");
  }
  const std::vector<int64_t> offsets =
      copy_elements<int64_t>(*index, tiles + 1);
  const uint64_t bytes = uint64_t{codes_->rows} * codes_->row_bytes;
  const auto* codes = static_cast<const uint8_t*>(codes_->data);
  uint64_t tile = 0;
  for (int64_t n = 0; n < N_; n += kSparseTileRows) {
    for (int64_t k = 0; k < K_; k += kSparseTileColumns, ++tile) {
      const SparseTile shape{std::min(kSparseTileRows, N_ - n),
                             std::min(kSparseTileColumns, K_ - k)};
      const int64_t begin = offsets[tile];
      const int64_t end = offsets[tile + 1];
      if (begin < 0 || end < begin || static_cast<uint64_t>(end) > bytes) {
        throw sdk::Error(TSR_DATA_LOSS, "weight: tile " + std::to_string(tile) +
                                            " lies outside its codes");
      }
      decode_sparse_tile({codes + begin, codes + end}, shape,
                         out_codes + n * K_ + k, K_);
    }
  }
}

const uint16_t* Planes::half_row(int64_t n) const {
  return reinterpret_cast<const uint16_t*>(codes_row(n));
}

const uint8_t* Planes::byte_row(int64_t n) const {
  return reinterpret_cast<const uint8_t*>(codes_row(n));
}

int64_t Planes::group_size() const {
  return scale_ == nullptr ? K_ : std::min<int64_t>(scale_->block_k, K_);
}

float Planes::scale(int64_t n, int64_t k) const {
  if (scale_ == nullptr) return 1.0f;
  return read_scale(*scale_, static_cast<uint64_t>(n) / scale_->block_n,
                    static_cast<uint64_t>(k) / scale_->block_k);
}

float Planes::scale2(int64_t n) const {
  if (scale2_ == nullptr) return 1.0f;
  return read_scale(*scale2_, static_cast<uint64_t>(n) / scale2_->block_n, 0);
}

InputRules Planes::read_rules() const {
  InputRules rules;
  const auto K = static_cast<uint64_t>(K_);
  const auto N = static_cast<uint64_t>(N_);
  // Small planes are [1, n] or [n, 1].
  const auto read = [&](uint32_t role, uint64_t count, auto& out_elements) {
    const tsr_plane* plane = find(role);
    if (plane == nullptr) return;
    if (plane->data == nullptr || uint64_t{plane->rows} * plane->cols < count ||
        sdk::element_bits(plane->dtype) != 32) {
      refuse("plane " + sdk::names::plane_role(role) + " has not " +
             std::to_string(count) + " elements of 4 bytes");
    }
    using Vector = std::decay_t<decltype(out_elements)>;
    out_elements = copy_elements<typename Vector::value_type>(*plane, count);
  };
  read(TSR_PLANE_PERMUTATION, K, rules.permutation);
  for (const int32_t feature : rules.permutation) {
    if (feature < 0 || feature >= K_) {
      refuse("permutation names feature " + std::to_string(feature) + " of " +
             std::to_string(K_));
    }
  }
  read(TSR_PLANE_INPUT_MULTIPLIER, K, rules.multiplier);
  read(TSR_PLANE_QUANT_BIAS, N, rules.quant_bias);
  std::vector<float> scale;
  std::vector<float> inv;
  std::vector<int32_t> zero_point;
  read(TSR_PLANE_ACT_SCALE, 1, scale);
  read(TSR_PLANE_ACT_INV, 1, inv);
  read(TSR_PLANE_ACT_ZERO_POINT, 1, zero_point);
  if (!scale.empty() && !inv.empty()) {
    rules.static_activation = StaticActivation{
        scale[0], inv[0], zero_point.empty() ? 0 : zero_point[0]};
  }
  return rules;
}

}  // namespace tessera::npu
