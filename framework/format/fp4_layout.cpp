// SPDX-License-Identifier: Apache-2.0
//
// Moves nibbles and scales; no number is rounded here but the tensor scale.

#include "framework/format/fp4_layout.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_fp4.hpp"
#include "framework/format/weight_check.hpp"

namespace tessera::format {
namespace {

struct LayoutRule {
  Fp4Layout layout;
  uint32_t format;
  uint32_t scale_dtype;
  uint32_t group;  // values per scale
  // GGUF only; else 0.
  uint32_t block_values;
  uint32_t block_bytes;
};

// clang-format off
constexpr LayoutRule kRules[] = {
    {Fp4Layout::kNvfp4CompressedTensors, TSR_WEIGHT_NVFP4, TSR_F8E4M3, 16,  0,  0},
    {Fp4Layout::kNvfp4ModelOpt,          TSR_WEIGHT_NVFP4, TSR_F8E4M3, 16,  0,  0},
    {Fp4Layout::kNvfp4Gguf,              TSR_WEIGHT_NVFP4, TSR_F8E4M3, 16, kGgufNvfp4Values, kGgufNvfp4Bytes},
    {Fp4Layout::kMxfp4CompressedTensors, TSR_WEIGHT_MXFP4, TSR_E8M0,   32,  0,  0},
    {Fp4Layout::kMxfp4Gguf,              TSR_WEIGHT_MXFP4, TSR_E8M0,   32, kGgufMxfp4Values, kGgufMxfp4Bytes},
};
// clang-format on

const LayoutRule& rule_of(Fp4Layout layout) {
  return *std::find_if(
      std::begin(kRules), std::end(kRules),
      [&](const LayoutRule& rule) { return rule.layout == layout; });
}

bool is_gguf(const LayoutRule& rule) { return rule.block_values != 0; }

// How many scales a GGUF block begins with, before its codes.
uint32_t scales_per_block(const LayoutRule& rule) {
  return rule.block_values / rule.group;
}

Status bad(const std::string& why) { return {TSR_INVALID_ARGUMENT, why}; }

Status check_shape(const LayoutRule& rule, uint32_t N, uint32_t K) {
  const uint32_t values = is_gguf(rule) ? rule.block_values : rule.group;
  // 2^30 keeps every size below 2^62.
  if (N == 0 || K == 0 || N > 1U << 30 || K > 1U << 30) {
    return bad("shape [" + std::to_string(N) + ", " + std::to_string(K) + "]");
  }
  if (K % values == 0) return {};
  return bad("K=" + std::to_string(K) + " is not a multiple of " +
             std::to_string(values));
}

Status check_size(std::string_view what, size_t bytes, uint64_t expected) {
  if (bytes == expected) return {};
  return bad(std::string(what) + " have " + std::to_string(bytes) +
             " bytes, not " + std::to_string(expected));
}

Status check_tensor_scale(float scale, bool may_be_zero) {
  if (std::isfinite(scale) &&
      (scale > 0.0f || (may_be_zero && scale == 0.0f))) {
    return {};
  }
  return bad("tensor scale " + std::to_string(scale));
}

bool is_nan(uint32_t scale_dtype, uint32_t code) {
  return scale_dtype == TSR_E8M0 ? code == 0xff : (code & 0x7fU) == 0x7f;
}

// The scale's byte in E4M3 or E8M0; `byte` itself but in GGUF's NVFP4.
Result<std::byte> plane_scale(const LayoutRule& rule, std::byte byte) {
  const auto code = std::to_integer<uint32_t>(byte);
  if (rule.layout == Fp4Layout::kNvfp4Gguf) {
    if (code == 0xff) return bad("scale 0xff, which is 480, does not fit e4m3");
    return code == 0x7f ? std::byte{0} : byte & std::byte{0x7f};
  }
  if (is_nan(rule.scale_dtype, code)) {
    return bad("scale " + std::to_string(code) + " is NaN");
  }
  return byte;
}

// The byte that GGUF has for a plane's scale.
Result<std::byte> gguf_scale(const LayoutRule& rule, std::byte byte) {
  const auto code = std::to_integer<uint32_t>(byte);
  const bool negative = rule.scale_dtype == TSR_F8E4M3 && code > 0x80;
  if (negative || is_nan(rule.scale_dtype, code)) {
    return bad("scale " + std::to_string(code) +
               (negative ? " is negative" : " is NaN"));
  }
  return byte;
}

// Where value i of a block of GGUF codes lies, in nibbles: the first half of a
// group low, the second high.
size_t gguf_nibble(const LayoutRule& rule, size_t i) {
  const size_t j = i % rule.group;
  const size_t half = rule.group / 2;
  return i / rule.group * rule.group + 2 * (j % half) + j / half;
}

WeightData empty_weight(const LayoutRule& rule, uint32_t N, uint32_t K) {
  WeightData weight{rule.format, N, K, {}};
  const auto add = [&](uint32_t role, uint32_t dtype, uint32_t block_n,
                       uint32_t block_k) {
    Plane plane{role,    dtype,   N / block_n, K / block_k,
                block_n, block_k, {},          {}};
    plane.owned.resize(plane.rows * plane.row_bytes());
    weight.planes.push_back(std::move(plane));
  };
  add(TSR_PLANE_CODES, TSR_F4E2M1, 1, 1);
  add(TSR_PLANE_SCALE, rule.scale_dtype, 1, rule.group);
  if (rule.format == TSR_WEIGHT_NVFP4) add(TSR_PLANE_SCALE2, TSR_F32, N, K);
  return weight;
}

Status read_blocks(const LayoutRule& rule, const Fp4Tensors& tensors,
                   WeightData& weight) {
  const uint32_t num_scales = scales_per_block(rule);
  const std::byte* block = tensors.codes.data();
  for (uint32_t n = 0; n < weight.N; ++n) {
    std::byte* codes = weight.find(TSR_PLANE_CODES)->mutable_row(n);
    std::byte* scales = weight.find(TSR_PLANE_SCALE)->mutable_row(n);
    for (size_t k = 0; k < weight.K; k += rule.block_values) {
      for (size_t s = 0; s < num_scales; ++s) {
        TSR_ASSIGN_OR_RETURN(scales[k / rule.group + s],
                             plane_scale(rule, block[s]));
      }
      for (size_t i = 0; i < rule.block_values; ++i) {
        set_nibble(codes, k + i,
                   nibble(block + num_scales, gguf_nibble(rule, i)));
      }
      block += rule.block_bytes;
    }
  }
  return {};
}

Status write_blocks(const LayoutRule& rule, const WeightData& weight,
                    std::byte* block) {
  const uint32_t num_scales = scales_per_block(rule);
  for (uint32_t n = 0; n < weight.N; ++n) {
    const std::byte* codes = weight.find(TSR_PLANE_CODES)->row(n);
    const std::byte* scales = weight.find(TSR_PLANE_SCALE)->row(n);
    for (size_t k = 0; k < weight.K; k += rule.block_values) {
      for (size_t s = 0; s < num_scales; ++s) {
        TSR_ASSIGN_OR_RETURN(block[s],
                             gguf_scale(rule, scales[k / rule.group + s]));
      }
      for (size_t i = 0; i < rule.block_values; ++i) {
        set_nibble(block + num_scales, gguf_nibble(rule, i),
                   nibble(codes, k + i));
      }
      block += rule.block_bytes;
    }
  }
  return {};
}

Status read_tensors(const LayoutRule& rule, const Fp4Tensors& tensors,
                    WeightData& weight) {
  const uint64_t elements = uint64_t{weight.N} * weight.K;
  if (is_gguf(rule)) {
    TSR_RETURN_IF_ERROR(
        check_size("blocks", tensors.codes.size(),
                   elements / rule.block_values * rule.block_bytes));
    return read_blocks(rule, tensors, weight);
  }
  TSR_RETURN_IF_ERROR(check_size("codes", tensors.codes.size(), elements / 2));
  TSR_RETURN_IF_ERROR(
      check_size("scales", tensors.scales.size(), elements / rule.group));
  for (const std::byte scale : tensors.scales) {
    TSR_RETURN_IF_ERROR(plane_scale(rule, scale).status());
  }
  std::copy(tensors.codes.begin(), tensors.codes.end(),
            weight.find(TSR_PLANE_CODES)->owned.begin());
  std::copy(tensors.scales.begin(), tensors.scales.end(),
            weight.find(TSR_PLANE_SCALE)->owned.begin());
  return {};
}

// Of a weight; 1 if it has no SCALE2.
Result<float> multiplier_of(const WeightData& weight) {
  const Plane* scale2 = weight.find(TSR_PLANE_SCALE2);
  if (scale2 == nullptr) return 1.0f;
  if (scale2->rows != 1) return bad("scale2 plane: more than one number");
  const auto value =
      static_cast<float>(element_value(scale2->dtype, scale2->row(0), 0));
  TSR_RETURN_IF_ERROR(check_tensor_scale(value, true));
  return value;
}

Result<Fp4Bytes> write_checked(const LayoutRule& rule,
                               const WeightData& weight) {
  Fp4Bytes bytes;
  if (rule.format == TSR_WEIGHT_NVFP4) {
    TSR_ASSIGN_OR_RETURN(bytes.tensor_scale, multiplier_of(weight));
  }
  if (rule.layout == Fp4Layout::kNvfp4CompressedTensors) {
    bytes.tensor_scale = 1.0f / bytes.tensor_scale;
    TSR_RETURN_IF_ERROR(check_tensor_scale(bytes.tensor_scale, false));
  }
  if (is_gguf(rule)) {
    bytes.codes.resize(uint64_t{weight.N} * weight.K / rule.block_values *
                       rule.block_bytes);
    TSR_RETURN_IF_ERROR(write_blocks(rule, weight, bytes.codes.data()));
    return bytes;
  }
  const auto codes = weight.find(TSR_PLANE_CODES)->bytes();
  const auto scales = weight.find(TSR_PLANE_SCALE)->bytes();
  bytes.codes.assign(codes.begin(), codes.end());
  bytes.scales.assign(scales.begin(), scales.end());
  return bytes;
}

}  // namespace

Result<Fp4Layout> find_fp4_layout(std::span<const std::string_view> names) {
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const bool divides = has("weight_global_scale");
  const bool multiplies = has("weight_scale_2");
  if (divides && multiplies) {
    return bad("both weight_global_scale and weight_scale_2");
  }
  if (!has("weight_scale")) return bad("no weight_scale: not an fp4 weight");
  if (multiplies && has("weight")) return Fp4Layout::kNvfp4ModelOpt;
  if (divides && has("weight_packed")) {
    return Fp4Layout::kNvfp4CompressedTensors;
  }
  // Packed integers of compressed-tensors come with their shape.
  if (!divides && !multiplies && has("weight_packed") && !has("weight_shape")) {
    return Fp4Layout::kMxfp4CompressedTensors;
  }
  return bad("not an fp4 weight");
}

Result<WeightData> read_fp4(Fp4Layout layout, uint32_t N, uint32_t K,
                            const Fp4Tensors& tensors) {
  const LayoutRule& rule = rule_of(layout);
  const std::string what = "read " + weight_format_name(rule.format);
  TSR_RETURN_IF_ERROR(check_shape(rule, N, K).annotate(what));
  float multiplier = tensors.tensor_scale;
  const bool divides = layout == Fp4Layout::kNvfp4CompressedTensors;
  TSR_RETURN_IF_ERROR(check_tensor_scale(multiplier, !divides).annotate(what));
  if (divides) {
    multiplier = 1.0f / multiplier;
    TSR_RETURN_IF_ERROR(check_tensor_scale(multiplier, false).annotate(what));
  }
  WeightData weight = empty_weight(rule, N, K);
  TSR_RETURN_IF_ERROR(read_tensors(rule, tensors, weight).annotate(what));
  if (Plane* scale2 = weight.find(TSR_PLANE_SCALE2)) {
    set_element_value(TSR_F32, scale2->mutable_row(0), 0, multiplier);
  }
  return weight;
}

Result<Fp4Bytes> write_fp4(Fp4Layout layout, const WeightData& weight) {
  const LayoutRule& rule = rule_of(layout);
  const std::string what = "write " + weight_format_name(rule.format);
  if (weight.format != rule.format) {
    return bad(what + ": the weight is " + weight_format_name(weight.format));
  }
  TSR_RETURN_IF_ERROR(check_weight(weight.view().desc()));
  TSR_RETURN_IF_ERROR(check_shape(rule, weight.N, weight.K).annotate(what));
  return write_checked(rule, weight).annotate(what);
}

}  // namespace tessera::format
