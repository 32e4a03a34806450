// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/plane_check.hpp - what tessera/types.h demands of the planes
// of each format.

#pragma once

#include <cstdint>
#include <string>

#include "tessera/error.hpp"
#include "tessera/packing/gguf_block.hpp"
#include "tessera/packing/plane_data.hpp"

namespace tessera::sdk::packing {

namespace detail {

inline constexpr uint32_t bit(uint32_t dtype) { return 1U << dtype; }
inline constexpr uint32_t kFloats = bit(TSR_F32) | bit(TSR_F16) | bit(TSR_BF16);
inline constexpr uint32_t kBytes = bit(TSR_U8) | bit(TSR_I8);

// Masks of dtypes; 0 where the format has no such plane.
struct FormatRule {
  uint32_t format;
  uint32_t codes;  // dtype
  uint32_t scales;
  uint32_t zero_points;
  uint32_t group;  // the one group size of the format; 0: any
};

// clang-format off
inline constexpr FormatRule kRules[] = {
    {TSR_WEIGHT_F32,    TSR_F32,    0,                     0,      0},
    {TSR_WEIGHT_F16,    TSR_F16,    0,                     0,      0},
    {TSR_WEIGHT_BF16,   TSR_BF16,   0,                     0,      0},
    {TSR_WEIGHT_I8,     TSR_I8,     kFloats,               kBytes, 0},
    {TSR_WEIGHT_U8,     TSR_U8,     kFloats,               kBytes, 0},
    {TSR_WEIGHT_I4,     TSR_I4,     kFloats | bit(TSR_U8), 0,      0},
    {TSR_WEIGHT_U4,     TSR_U4,     kFloats,               kBytes, 0},
    {TSR_WEIGHT_F8E4M3, TSR_F8E4M3, kFloats,               0,      0},
    {TSR_WEIGHT_F8E5M2, TSR_F8E5M2, kFloats,               0,      0},
    {TSR_WEIGHT_F4E2M1, TSR_F4E2M1, kFloats,               0,      0},
    {TSR_WEIGHT_MXFP4,  TSR_F4E2M1, bit(TSR_E8M0),         0,      32},
    {TSR_WEIGHT_NVFP4,  TSR_F4E2M1, bit(TSR_F8E4M3),       0,      16},
    {TSR_WEIGHT_SPARSE_FIXED, 0,    kFloats,               0,      0},
};
// clang-format on

inline const FormatRule* find_rule(uint32_t format) {
  for (const FormatRule& rule : kRules) {
    if (rule.format == format) return &rule;
  }
  return nullptr;
}

inline uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

[[noreturn]] inline void bad(const char* plane, const std::string& why) {
  throw Error(TSR_INVALID_ARGUMENT, std::string(plane) + " plane: " + why);
}

inline void check_dtype(const char* name, const tsr_plane& plane,
                        uint32_t allowed) {
  if (plane.dtype >= 32 || (bit(plane.dtype) & allowed) == 0) {
    bad(name, "dtype " + std::to_string(plane.dtype) + " is not allowed");
  }
}

inline uint64_t dense_row_bytes(const tsr_plane& plane) {
  switch (plane.dtype) {
    case TSR_I64:
      return uint64_t{plane.cols} * 8;
    case TSR_F32:
    case TSR_I32:
      return uint64_t{plane.cols} * 4;
    case TSR_F16:
    case TSR_BF16:
      return uint64_t{plane.cols} * 2;
    case TSR_I4:
    case TSR_U4:
    case TSR_F4E2M1:
      return (uint64_t{plane.cols} + 1) / 2;
    default:
      return plane.cols;
  }
}

inline void check_shape(const char* name, const tsr_plane& plane, uint64_t rows,
                        uint64_t cols) {
  if (plane.rows != rows || plane.cols != cols) {
    bad(name, "shape [" + std::to_string(plane.rows) + ", " +
                  std::to_string(plane.cols) + "] is not [" +
                  std::to_string(rows) + ", " + std::to_string(cols) + "]");
  }
  const uint64_t dense = dense_row_bytes(plane);
  if (plane.rows > 1 && plane.row_bytes < dense) {
    bad(name, "rows of " + std::to_string(plane.row_bytes) +
                  " bytes cannot hold " + std::to_string(dense));
  }
}

inline void check_blocks(const char* name, const tsr_plane& plane,
                         const tsr_weight_desc& desc) {
  if (plane.block_n == 0 || plane.block_k == 0) {
    bad(name, "block [" + std::to_string(plane.block_n) + ", " +
                  std::to_string(plane.block_k) + "]");
  }
  check_shape(name, plane, ceil_div(desc.N, plane.block_n),
              ceil_div(desc.K, plane.block_k));
}

inline void check_codes(const tsr_weight_desc& desc, const FormatRule* rule) {
  const tsr_plane codes = find_plane(desc, TSR_PLANE_CODES);
  if (!exists(codes)) bad("codes", "missing");
  if (const GgufBlock* block = find_gguf_block(desc.format)) {
    if (desc.K % block->values != 0) {
      throw Error(TSR_INVALID_ARGUMENT,
                  "K=" + std::to_string(desc.K) +
                      " is not a multiple of the block of " +
                      std::to_string(block->values));
    }
    check_dtype("codes", codes, bit(TSR_U8));
    check_shape("codes", codes, desc.N,
                uint64_t{desc.K} / block->values * block->bytes);
  } else if (desc.format == TSR_WEIGHT_SPARSE_FIXED) {
    check_dtype("codes", codes, kBytes);
    check_shape("codes", codes, 1, codes.cols);
    const tsr_plane index = find_plane(desc, TSR_PLANE_INDEX);
    if (!exists(index)) bad("index", "missing");
    check_dtype("index", index, bit(TSR_I64));
    check_shape("index", index, 1,
                ceil_div(desc.N, 256) * ceil_div(desc.K, 128) + 1);
  } else {
    check_dtype("codes", codes, bit(rule->codes));
    check_shape("codes", codes, desc.N, desc.K);
  }
}

inline void check_scale2(const tsr_weight_desc& desc, const tsr_plane& scale) {
  const tsr_plane scale2 = find_plane(desc, TSR_PLANE_SCALE2);
  if (!exists(scale2)) {
    if (scale.dtype == TSR_U8) bad("scale2", "missing beside u8 scales");
    return;
  }
  check_dtype("scale2", scale2, kFloats);
  check_blocks("scale2", scale2, desc);
  if (scale2.cols != 1) bad("scale2", "more than one per row");
}

inline void check_scales(const tsr_weight_desc& desc, const FormatRule& rule) {
  if (rule.scales == 0) return;
  const tsr_plane scale = find_plane(desc, TSR_PLANE_SCALE);
  if (!exists(scale)) bad("scale", "missing");
  check_dtype("scale", scale, rule.scales);
  check_blocks("scale", scale, desc);
  if (rule.group != 0 && scale.block_k != rule.group) {
    bad("scale", "group " + std::to_string(scale.block_k) + " is not " +
                     std::to_string(rule.group));
  }
  check_scale2(desc, scale);
  const tsr_plane zero = find_plane(desc, TSR_PLANE_ZERO_POINT);
  const tsr_plane min = find_plane(desc, TSR_PLANE_MIN);
  if (exists(zero)) {
    check_dtype("zero_point", zero, rule.zero_points);
    check_shape("zero_point", zero, scale.rows, scale.cols);
  }
  if (exists(min)) {
    throw Error(TSR_UNIMPLEMENTED, "min plane: not read here");
  }
}

// Planes that are a vector: one row, or one column.
struct VectorRule {
  uint32_t role;
  uint32_t dtype;
  uint32_t count;
  const char* name;
};

inline void check_vectors(const tsr_weight_desc& desc) {
  const VectorRule rules[] = {
      {TSR_PLANE_PERMUTATION, TSR_I32, desc.K, "permutation"},
      {TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, desc.K, "input_multiplier"},
      {TSR_PLANE_ACT_SCALE, TSR_F32, 1, "act_scale"},
      {TSR_PLANE_ACT_INV, TSR_F32, 1, "act_inv"},
      {TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1, "act_zero_point"},
      {TSR_PLANE_QUANT_BIAS, TSR_I32, desc.N, "quant_bias"},
  };
  for (const VectorRule& rule : rules) {
    const tsr_plane plane = find_plane(desc, rule.role);
    if (!exists(plane)) continue;
    check_dtype(rule.name, plane, bit(rule.dtype));
    const bool column = plane.cols == 1;
    check_shape(rule.name, plane, column ? rule.count : 1,
                column ? 1 : rule.count);
  }
}

}  // namespace detail

// Throws Error: INVALID_ARGUMENT if a plane is missing or has a type or
// shape that types.h does not allow for the slice's format, N and K;
// UNIMPLEMENTED for a format that is not read here or an extension that must be
// understood.  Planes of the whole weight are not looked at.
inline void check_slice(const tsr_weight_desc& slice) {
  const detail::FormatRule* rule = detail::find_rule(slice.format);
  if (rule == nullptr && find_gguf_block(slice.format) == nullptr) {
    throw Error(TSR_UNIMPLEMENTED,
                "weight format " + std::to_string(slice.format));
  }
  for (const tsr_ext* ext = slice.next; ext != nullptr; ext = ext->next) {
    if ((ext->flags & TSR_MUST_UNDERSTAND) != 0) {
      throw Error(TSR_UNIMPLEMENTED, std::string("weight extension ") +
                                         (ext->name ? ext->name : "?"));
    }
  }
  constexpr uint32_t kMaxSize = 1U << 30;  // so that sizes fit an int64_t
  if (slice.N == 0 || slice.K == 0 || slice.N > kMaxSize ||
      slice.K > kMaxSize) {
    throw Error(TSR_INVALID_ARGUMENT, "weight of [" + std::to_string(slice.N) +
                                          ", " + std::to_string(slice.K) + "]");
  }
  detail::check_codes(slice, rule);
  if (rule != nullptr) detail::check_scales(slice, *rule);
}

// The same for a whole weight.
inline void check_planes(const tsr_weight_desc& desc) {
  check_slice(desc);
  detail::check_vectors(desc);
}

}  // namespace tessera::sdk::packing
