// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/weight_samples.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "framework/conformance/kit/trial/op_setup.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/record.hpp"

namespace tessera::conformance {
namespace {

// Where a block keeps its half-precision scales; -1 where there is none.
struct BlockScales {
  int first;
  int second;
};

BlockScales block_scales(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_Q2_K:
      return {80, 82};
    case TSR_WEIGHT_Q3_K:
      return {108, -1};
    case TSR_WEIGHT_Q6_K:
      return {208, -1};
    case TSR_WEIGHT_Q4_K:
    case TSR_WEIGHT_Q5_K:
    case TSR_WEIGHT_Q4_1:
    case TSR_WEIGHT_Q5_1:
      return {0, 2};
    default:
      return {0, -1};
  }
}

// Blocks of random bytes whose scales are finite: every code occurs.
format::WeightData random_blocks(const format::GgufBlock& block, uint32_t N,
                                 uint32_t K, std::mt19937& rng) {
  format::Plane codes;
  codes.role = TSR_PLANE_CODES;
  codes.dtype = TSR_U8;
  codes.rows = N;
  codes.cols = K / block.values * block.bytes;
  codes.block_n = 1;
  codes.owned.resize(size_t{N} * codes.cols);
  for (std::byte& byte : codes.owned) byte = static_cast<std::byte>(rng());
  const BlockScales offsets = block_scales(block.format);
  std::uniform_real_distribution<float> scale(-0.01f, 0.01f);
  for (size_t at = 0; at < codes.owned.size(); at += block.bytes) {
    for (const int offset : {offsets.first, offsets.second}) {
      if (offset < 0) continue;
      const uint16_t half = f32_to_f16(scale(rng));
      std::memcpy(&codes.owned[at + static_cast<size_t>(offset)], &half, 2);
    }
  }
  format::WeightData weight{block.format, N, K, {}};
  weight.planes.push_back(std::move(codes));
  return weight;
}

Result<format::WeightData> sparse_weight(uint32_t N, uint32_t K,
                                         std::mt19937& rng) {
  std::vector<int8_t> codes(size_t{N} * K);
  for (int8_t& code : codes) {
    const auto draw = static_cast<uint32_t>(rng());
    // Mostly few values, some that need an escape.
    code = static_cast<int8_t>(draw % 8 == 0 ? draw >> 8 : draw >> 8 & 3U);
    if (code == -128) code = -127;
  }
  TSR_ASSIGN_OR_RETURN(format::SparseTiles tiles,
                       format::encode_sparse_fixed(N, K, codes));
  format::Plane scale;
  scale.role = TSR_PLANE_SCALE;
  scale.dtype = TSR_F32;
  scale.rows = N;
  scale.cols = 1;
  scale.block_n = 1;
  scale.block_k = K;
  scale.owned.resize(size_t{N} * sizeof(float));
  for (uint32_t n = 0; n < N; ++n) {
    const float value = 0.001f * static_cast<float>(1 + rng() % 31);
    std::memcpy(&scale.owned[n * sizeof(float)], &value, sizeof(value));
  }
  return format::sparse_fixed_weight(std::move(tiles), std::move(scale));
}

format::Plane small_plane(uint32_t role, uint32_t dtype, const void* values,
                          uint32_t count) {
  format::Plane plane;
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = 1;
  plane.cols = count;
  plane.owned.resize(size_t{count} * 4);
  std::memcpy(plane.owned.data(), values, plane.owned.size());
  return plane;
}

// Codes of every value, over and over; those that are no number left out.
void fill_codes(format::WeightData& weight) {
  format::Plane* codes = weight.find(TSR_PLANE_CODES);
  if (codes == nullptr || codes->owned.empty()) return;
  uint32_t next = 0;
  for (std::byte& byte : codes->owned) {
    uint32_t code = next++ * 37U & 0xffU;
    const bool f8_nan =
        weight.format == TSR_WEIGHT_F8E4M3 && (code & 0x7fU) == 0x7fU;
    const bool f8_special =
        weight.format == TSR_WEIGHT_F8E5M2 && (code & 0x7fU) >= 0x7cU;
    if (f8_nan || f8_special) code = 0x3cU;
    byte = static_cast<std::byte>(code);
  }
}

// A scale may be of either sign.
void negate_odd_scales(format::WeightData& weight) {
  format::Plane* scale = weight.find(TSR_PLANE_SCALE);
  if (scale == nullptr || scale->owned.empty()) return;
  const size_t element = dtype_bytes(scale->dtype, 1);
  const bool is_signed = scale->dtype == TSR_F32 || scale->dtype == TSR_F16 ||
                         scale->dtype == TSR_BF16;
  if (!is_signed) return;
  for (size_t i = 1; i * element < scale->owned.size(); i += 2) {
    scale->owned[(i + 1) * element - 1] ^= std::byte{0x80};
  }
}

void add_planes(const WeightKind& kind, format::WeightData& weight,
                std::mt19937& rng) {
  const uint32_t K = weight.K;
  if (kind.permutation) {
    std::vector<int32_t> order(K);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), rng);
    weight.planes.push_back(
        small_plane(TSR_PLANE_PERMUTATION, TSR_I32, order.data(), K));
  }
  if (kind.input_multiplier) {
    std::vector<float> factors(K);
    for (float& f : factors) f = 0.5f + static_cast<float>(rng() % 64) / 32.0f;
    weight.planes.push_back(
        small_plane(TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, factors.data(), K));
  }
  if (kind.quant_bias) {
    std::vector<int32_t> bias(weight.N);
    for (int32_t& b : bias) b = static_cast<int32_t>(rng() % 2001) - 1000;
    // A column, so that a slice of rows takes its part along.
    format::Plane plane =
        small_plane(TSR_PLANE_QUANT_BIAS, TSR_I32, bias.data(), weight.N);
    std::swap(plane.rows, plane.cols);
    plane.block_n = 1;
    plane.block_k = K;
    weight.planes.push_back(std::move(plane));
  }
  if (kind.static_activation) {
    const float scale = kind.power_of_two_scales ? 0x1p-5f : 4.0f / 127.0f;
    const float inv = kind.power_of_two_scales ? 0x1p5f : 127.0f / 4.0f;
    weight.planes.push_back(
        small_plane(TSR_PLANE_ACT_SCALE, TSR_F32, &scale, 1));
    weight.planes.push_back(small_plane(TSR_PLANE_ACT_INV, TSR_F32, &inv, 1));
    weight.planes.push_back(small_plane(TSR_PLANE_ACT_ZERO_POINT, TSR_I32,
                                        &kind.act_zero_point, 1));
  }
}

const tsr_plane_rule* find_rule(const std::vector<tsr_plane_rule>& rules,
                                uint32_t role) {
  const auto found = std::find_if(
      rules.begin(), rules.end(),
      [role](const tsr_plane_rule& rule) { return rule.role == role; });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace

std::string WeightKind::text() const {
  std::string text;
  if (scheme.per_tensor) text += "_tensor";
  if (scheme.group_size != 0) text += "_g" + std::to_string(scheme.group_size);
  if (!scheme.symmetric) text += "_asym";
  if (scheme.two_level) text += "_twolevel";
  if (scheme.scale_dtype != TSR_F32) {
    text += "_" + dtype_name(scheme.scale_dtype);
  }
  if (all_codes) text += "_codes";
  if (permutation) text += "_permuted";
  if (input_multiplier) text += "_multiplied";
  if (quant_bias) text += "_qbias";
  if (act_zero_point != 0) text += "_zp" + std::to_string(act_zero_point);
  return text;
}

uint32_t fit_depth(uint32_t format, uint32_t K) {
  const format::GgufBlock* block = format::find_gguf_block(format);
  if (block == nullptr) return K;
  return (K + block->values - 1) / block->values * block->values;
}

Result<format::WeightData> make_weight(const WeightKind& kind, uint32_t N,
                                       uint32_t K, std::mt19937& rng) {
  const format::GgufBlock* block = format::find_gguf_block(kind.scheme.format);
  Result<format::WeightData> weight =
      Status(TSR_UNIMPLEMENTED, "no such weight");
  if (block != nullptr) {
    weight = random_blocks(*block, N, K, rng);
  } else if (kind.scheme.format == TSR_WEIGHT_SPARSE_FIXED) {
    weight = sparse_weight(N, K, rng);
  } else {
    const std::vector<float> values = normal_values(size_t{N} * K, 0.1f, rng);
    weight = format::encode_weight(kind.scheme, N, K, values);
  }
  if (!weight.ok()) return weight;
  const bool dense = kind.scheme.format <= TSR_WEIGHT_BF16;
  const bool fixed = kind.scheme.format == TSR_WEIGHT_SPARSE_FIXED;
  if (kind.all_codes && !dense && !fixed && block == nullptr) {
    fill_codes(*weight);
    negate_odd_scales(*weight);
  }
  add_planes(kind, *weight, rng);
  return weight;
}

std::vector<WeightKind> weight_kinds_of(const tsr_kernel_desc& row) {
  WeightKind base;
  base.scheme.format = row.weight_format;
  std::vector<WeightKind> kinds = {base};
  const std::vector<tsr_plane_rule> rules =
      sdk::Elements<tsr_plane_rule>(row.planes).all();
  const auto add = [&](auto&& change) {
    WeightKind kind = base;
    change(kind);
    kinds.push_back(kind);
  };
  const tsr_plane_rule* scale = find_rule(rules, TSR_PLANE_SCALE);
  if (scale != nullptr) {
    for (const uint32_t group : {32U, 64U, 128U, 16U, 12U}) {
      add([&](WeightKind& kind) { kind.scheme.group_size = group; });
    }
    add([](WeightKind& kind) { kind.scheme.per_tensor = true; });
    for (const uint32_t dtype : {TSR_F16, TSR_BF16}) {
      add([&](WeightKind& kind) { kind.scheme.scale_dtype = dtype; });
    }
    add([](WeightKind& kind) { kind.all_codes = true; });
  }
  if (find_rule(rules, TSR_PLANE_ZERO_POINT) != nullptr) {
    for (const uint32_t group : {0U, 32U, 64U}) {
      add([&](WeightKind& kind) {
        kind.scheme.group_size = group;
        kind.scheme.symmetric = false;
      });
    }
  }
  if (find_rule(rules, TSR_PLANE_SCALE2) != nullptr &&
      row.weight_format == TSR_WEIGHT_I4) {
    add([](WeightKind& kind) {
      kind.scheme.group_size = 32;
      kind.scheme.two_level = true;
    });
  }
  if (find_rule(rules, TSR_PLANE_PERMUTATION) != nullptr) {
    add([](WeightKind& kind) { kind.permutation = true; });
  }
  if (find_rule(rules, TSR_PLANE_INPUT_MULTIPLIER) != nullptr) {
    add([](WeightKind& kind) { kind.input_multiplier = true; });
  }
  if (find_rule(rules, TSR_PLANE_QUANT_BIAS) != nullptr) {
    add([](WeightKind& kind) { kind.quant_bias = true; });
  }
  return kinds;
}

}  // namespace tessera::conformance
