// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction.

#include "backends/npu_sim/function/linear/weight.hpp"

#include <algorithm>
#include <string>

#include "backends/npu_sim/function/float8.hpp"
#include "backends/npu_sim/function/inner_loops.hpp"
#include "backends/npu_sim/function/linear/planes.hpp"
#include "tessera/error.hpp"
#include "tessera/names.hpp"

namespace tessera::npu {
namespace {

class RowMaker {
 public:
  RowMaker(const Planes& planes, Half type)
      : planes_(planes),
        type_(type),
        integers_(static_cast<size_t>(planes.columns())) {}

  // The bits of row n, K of them.
  void make(int64_t n, uint16_t* out_row) {
    const int64_t K = planes_.columns();
    switch (planes_.format()) {
      case TSR_WEIGHT_F16:
      case TSR_WEIGHT_BF16: {
        const uint16_t* row = planes_.half_row(n);
        std::copy_n(row, K, out_row);
        return;
      }
      case TSR_WEIGHT_F8E4M3: {
        const uint8_t* row = planes_.byte_row(n);
        std::transform(row, row + K, out_row, [](uint8_t code) {
          return f16_from_f32(f32_from_f8(code));
        });
        return;
      }
      default:
        return dequantize(n, out_row);
    }
  }

 private:
  void dequantize(int64_t n, uint16_t* out_row) {
    const int64_t K = planes_.columns();
    planes_.integer_row(n, integers_.data());
    const float scale2 = planes_.scale2(n);
    const bool two_levels = planes_.has_scale2();
    const int64_t group = planes_.group_size();
    for (int64_t begin = 0; begin < K; begin += group) {
      const float scale = planes_.scale(n, begin);
      for (int64_t k = begin; k < std::min(begin + group, K); ++k) {
        float value =
            static_cast<float>(integers_[static_cast<size_t>(k)]) * scale;
        if (two_levels) value = value * scale2;
        out_row[k] = half_from_f32(type_, value);
      }
    }
  }

  const Planes& planes_;
  Half type_;
  std::vector<int32_t> integers_;
};

void require_type(uint32_t format, Half type) {
  const bool is_f16 = format == TSR_WEIGHT_F16 || format == TSR_WEIGHT_F8E4M3;
  const bool other = (is_f16 && type != Half::kF16) ||
                     (format == TSR_WEIGHT_BF16 && type != Half::kBf16);
  if (!other) return;
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "weight: " + sdk::names::weight_format(format) +
                       " is not multiplied by the other 16-bit type");
}

}  // namespace

HalfWeight make_half_weight(const tsr_weight_desc& desc, Half type) {
  require_type(desc.format, type);
  const Planes planes(desc);
  if (desc.format == TSR_WEIGHT_F8E4M3 &&
      planes.group_size() < planes.columns()) {
    throw sdk::Error(TSR_UNIMPLEMENTED,
                     "weight: f8e4m3 with scales of groups is not multiplied");
  }
  HalfWeight weight;
  weight.type = type;
  weight.N = desc.N;
  weight.K = desc.K;
  weight.rules = planes.read_rules();
  const int64_t num_tiles = (weight.N + kTileColumns - 1) / kTileColumns;
  weight.tiles.resize(static_cast<size_t>(num_tiles * kTileColumns * weight.K));
  std::vector<uint16_t> row(desc.K);
  RowMaker maker(planes, type);
  for (int64_t n = 0; n < weight.N; ++n) {
    maker.make(n, row.data());
    uint16_t* tile = weight.tiles.data() +
                     n / kTileColumns * kTileColumns * weight.K +
                     n % kTileColumns;
    for (int64_t k = 0; k < weight.K; ++k) {
      tile[k * kTileColumns] = row[static_cast<size_t>(k)];
    }
    if (desc.format == TSR_WEIGHT_F8E4M3) {
      weight.scales.push_back(planes.scale(n, 0));
    }
  }
  return weight;
}

IntegerWeight make_integer_weight(const tsr_weight_desc& desc) {
  const Planes planes(desc);
  IntegerWeight weight;
  weight.N = desc.N;
  weight.K = desc.K;
  weight.group_size = planes.group_size();
  weight.per_channel = weight.group_size >= weight.K && !planes.has_scale2();
  weight.rules = planes.read_rules();
  weight.codes.resize(size_t{desc.N} * desc.K);
  const bool sparse = desc.format == TSR_WEIGHT_SPARSE_FIXED;
  if (sparse) planes.sparse_codes(weight.codes.data());
  std::vector<int32_t> row(desc.K);
  for (int64_t n = 0; n < weight.N; ++n) {
    int16_t* codes = weight.codes.data() + n * weight.K;
    if (!sparse) {
      planes.integer_row(n, row.data());
      std::transform(row.begin(), row.end(), codes,
                     [](int32_t code) { return static_cast<int16_t>(code); });
    }
    for (int64_t k = 0; k < weight.K; k += weight.group_size) {
      weight.scales.push_back(planes.scale(n, k));
    }
    weight.scale2.push_back(planes.scale2(n));
  }
  const bool nibbles =
      desc.format == TSR_WEIGHT_I4 || desc.format == TSR_WEIGHT_U4;
  weight.max_integer = nibbles ? 15 : 255;
  if (desc.format == TSR_WEIGHT_I4) weight.max_integer = 8;
  if (sparse || desc.format == TSR_WEIGHT_I8) weight.max_integer = 128;
  return weight;
}

}  // namespace tessera::npu
