// SPDX-License-Identifier: Apache-2.0
//
// The table of weight formats, and the rules of their planes.

#include "framework/format/weight_check.hpp"

#include <string>
#include <string_view>

#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/weight.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/record.hpp"

namespace tessera::format {
namespace {

constexpr uint32_t bit(uint32_t dtype) { return 1U << dtype; }
constexpr uint32_t kFloats = bit(TSR_F32) | bit(TSR_F16) | bit(TSR_BF16);
constexpr uint32_t kBytes = bit(TSR_U8) | bit(TSR_I8);

// Masks of what types.h allows; 0 where the format has no such plane.
struct FormatRule {
  uint32_t format;
  uint32_t codes;   // dtype
  uint32_t scales;  // mask of dtypes
  uint32_t zero_points;
  uint32_t group;  // the one group size of the format; 0: any
};

// clang-format off
constexpr FormatRule kRules[] = {
    //  format              codes        scales                  zero points  group
    {TSR_WEIGHT_F32,    TSR_F32,    0,                      0,      0},
    {TSR_WEIGHT_F16,    TSR_F16,    0,                      0,      0},
    {TSR_WEIGHT_BF16,   TSR_BF16,   0,                      0,      0},
    {TSR_WEIGHT_I8,     TSR_I8,     kFloats,                kBytes, 0},
    {TSR_WEIGHT_U8,     TSR_U8,     kFloats,                kBytes, 0},
    {TSR_WEIGHT_I4,     TSR_I4,     kFloats | bit(TSR_U8),  0,      0},
    {TSR_WEIGHT_U4,     TSR_U4,     kFloats,                kBytes, 0},
    {TSR_WEIGHT_F8E4M3, TSR_F8E4M3, kFloats,                0,      0},
    {TSR_WEIGHT_F8E5M2, TSR_F8E5M2, kFloats,                0,      0},
    {TSR_WEIGHT_F4E2M1, TSR_F4E2M1, kFloats,                0,      0},
    {TSR_WEIGHT_MXFP4,  TSR_F4E2M1, bit(TSR_E8M0),          0,      32},
    {TSR_WEIGHT_NVFP4,  TSR_F4E2M1, bit(TSR_F8E4M3),        0,      16},
    {TSR_WEIGHT_SPARSE_FIXED, 0,    kFloats,                0,      0},
};
// clang-format on

const FormatRule* find_rule(uint32_t format) {
  for (const FormatRule& rule : kRules) {
    if (rule.format == format) return &rule;
  }
  return nullptr;
}

uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

std::string shape(uint64_t rows, uint64_t cols) {
  return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
}

Status bad(std::string_view plane, const std::string& why) {
  return Status(TSR_INVALID_ARGUMENT, std::string(plane) + " plane: " + why);
}

Status check_dtype(std::string_view name, const tsr_plane& plane,
                   uint32_t allowed) {
  if (plane.dtype < 32 && (bit(plane.dtype) & allowed) != 0) return {};
  return bad(name, "dtype " + dtype_name(plane.dtype) + " is not allowed");
}

Status check_shape(std::string_view name, const tsr_plane& plane, uint64_t rows,
                   uint64_t cols) {
  if (plane.rows != rows || plane.cols != cols) {
    return bad(name, "shape " + shape(plane.rows, plane.cols) + " is not " +
                         shape(rows, cols));
  }
  const uint64_t dense = dtype_bytes(plane.dtype, plane.cols);
  if (plane.rows > 1 && plane.row_bytes < dense) {
    return bad(name, "rows of " + std::to_string(plane.row_bytes) +
                         " bytes cannot hold " + std::to_string(dense));
  }
  return {};
}

Status check_blocks(std::string_view name, const tsr_plane& plane,
                    const tsr_weight_desc& desc) {
  if (plane.block_n == 0 || plane.block_k == 0) {
    return bad(name, "block " + shape(plane.block_n, plane.block_k));
  }
  return check_shape(name, plane, ceil_div(desc.N, plane.block_n),
                     ceil_div(desc.K, plane.block_k));
}

Status check_codes(const tsr_weight_desc& desc, const FormatRule* rule) {
  const auto codes = find_plane(desc, TSR_PLANE_CODES);
  if (!codes) return bad("codes", "missing");
  if (const GgufBlock* block = find_gguf_block(desc.format)) {
    if (desc.K % block->values != 0) {
      return Status(TSR_INVALID_ARGUMENT,
                    "K=" + std::to_string(desc.K) +
                        " is not a multiple of the block of " +
                        std::to_string(block->values));
    }
    TSR_RETURN_IF_ERROR(check_dtype("codes", *codes, bit(TSR_U8)));
    return check_shape("codes", *codes, desc.N,
                       uint64_t{desc.K / block->values} * block->bytes);
  }
  if (desc.format == TSR_WEIGHT_SPARSE_FIXED) {
    TSR_RETURN_IF_ERROR(check_dtype("codes", *codes, kBytes));
    return check_shape("codes", *codes, 1, codes->cols);
  }
  TSR_RETURN_IF_ERROR(check_dtype("codes", *codes, bit(rule->codes)));
  return check_shape("codes", *codes, desc.N, desc.K);
}

Status check_scales(const tsr_weight_desc& desc, const FormatRule& rule) {
  if (rule.scales == 0) return {};
  const auto scale = find_plane(desc, TSR_PLANE_SCALE);
  if (!scale) return bad("scale", "missing");
  TSR_RETURN_IF_ERROR(check_dtype("scale", *scale, rule.scales));
  TSR_RETURN_IF_ERROR(check_blocks("scale", *scale, desc));
  if (rule.group != 0 && scale->block_k != rule.group) {
    return bad("scale", "group " + std::to_string(scale->block_k) + " is not " +
                            std::to_string(rule.group));
  }
  if (const auto scale2 = find_plane(desc, TSR_PLANE_SCALE2)) {
    TSR_RETURN_IF_ERROR(check_dtype("scale2", *scale2, kFloats));
    TSR_RETURN_IF_ERROR(check_blocks("scale2", *scale2, desc));
    if (scale2->cols != 1) return bad("scale2", "more than one per row");
  } else if (scale->dtype == TSR_U8) {
    return bad("scale2", "missing beside u8 scales");
  }
  const auto zero = find_plane(desc, TSR_PLANE_ZERO_POINT);
  const auto min = find_plane(desc, TSR_PLANE_MIN);
  if (zero) {
    TSR_RETURN_IF_ERROR(check_dtype("zero_point", *zero, rule.zero_points));
    TSR_RETURN_IF_ERROR(
        check_shape("zero_point", *zero, scale->rows, scale->cols));
  }
  if (min) {
    if (zero) return bad("min", "beside a zero_point plane");
    TSR_RETURN_IF_ERROR(check_dtype("min", *min, kFloats));
    TSR_RETURN_IF_ERROR(check_shape("min", *min, scale->rows, scale->cols));
  }
  return {};
}

Status check_index(const tsr_weight_desc& desc) {
  if (desc.format != TSR_WEIGHT_SPARSE_FIXED) return {};
  const auto index = find_plane(desc, TSR_PLANE_INDEX);
  if (!index) return bad("index", "missing");
  const uint64_t tiles = ceil_div(desc.N, 256) * ceil_div(desc.K, 128);
  TSR_RETURN_IF_ERROR(check_dtype("index", *index, bit(TSR_I64)));
  return check_shape("index", *index, 1, tiles + 1);
}

// Planes that are a vector: one row, or one column.
struct VectorRule {
  uint32_t role;
  uint32_t dtype;
  uint32_t count;
  std::string_view name;
};

Status check_vectors(const tsr_weight_desc& desc) {
  const VectorRule rules[] = {
      {TSR_PLANE_PERMUTATION, TSR_I32, desc.K, "permutation"},
      {TSR_PLANE_INPUT_MULTIPLIER, TSR_F32, desc.K, "input_multiplier"},
      {TSR_PLANE_ACT_SCALE, TSR_F32, 1, "act_scale"},
      {TSR_PLANE_ACT_INV, TSR_F32, 1, "act_inv"},
      {TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1, "act_zero_point"},
      {TSR_PLANE_QUANT_BIAS, TSR_I32, desc.N, "quant_bias"},
  };
  for (const VectorRule& rule : rules) {
    const auto plane = find_plane(desc, rule.role);
    if (!plane) continue;
    TSR_RETURN_IF_ERROR(check_dtype(rule.name, *plane, bit(rule.dtype)));
    const bool column = plane->cols == 1;
    TSR_RETURN_IF_ERROR(check_shape(rule.name, *plane, column ? rule.count : 1,
                                    column ? 1 : rule.count));
  }
  return {};
}

Status check_extensions(const tsr_weight_desc& desc) {
  for (const tsr_ext* ext = desc.next; ext != nullptr; ext = ext->next) {
    if ((ext->flags & TSR_MUST_UNDERSTAND) != 0) {
      return Status(TSR_UNIMPLEMENTED,
                    std::string("extension ") + (ext->name ? ext->name : "?"));
    }
  }
  return {};
}

Status check_planes(const tsr_weight_desc& desc) {
  const FormatRule* rule = find_rule(desc.format);
  if (rule == nullptr && find_gguf_block(desc.format) == nullptr) {
    return Status(TSR_UNIMPLEMENTED, "not a format that is read as it is");
  }
  if (desc.N == 0 || desc.K == 0) {
    return Status(TSR_INVALID_ARGUMENT, "shape " + shape(desc.N, desc.K));
  }
  TSR_RETURN_IF_ERROR(check_extensions(desc));
  TSR_RETURN_IF_ERROR(check_codes(desc, rule));
  if (rule != nullptr) TSR_RETURN_IF_ERROR(check_scales(desc, *rule));
  TSR_RETURN_IF_ERROR(check_index(desc));
  return check_vectors(desc);
}

}  // namespace

std::optional<tsr_plane> find_plane(const tsr_weight_desc& desc,
                                    uint32_t role) {
  const sdk::Elements<tsr_plane> planes(desc.planes);
  for (uint32_t i = 0; i < planes.size(); ++i) {
    const tsr_plane plane = planes[i];
    if (plane.role == role) return plane;
  }
  return std::nullopt;
}

Status check_weight(const tsr_weight_desc& desc) {
  return check_planes(desc).annotate("weight " +
                                     weight_format_name(desc.format));
}

uint32_t weight_code_dtype(uint32_t format) {
  const FormatRule* rule = find_rule(format);
  return rule == nullptr ? uint32_t{TSR_DTYPE_NONE} : rule->codes;
}

}  // namespace tessera::format
