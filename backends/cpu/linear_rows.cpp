// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/linear_rows.hpp"

#include <deque>
#include <iterator>

#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {
namespace {

constexpr uint32_t bit(uint32_t value) { return 1U << value; }

constexpr uint32_t kFloats = bit(TSR_F32) | bit(TSR_F16) | bit(TSR_BF16);
constexpr uint32_t kBytes = bit(TSR_U8) | bit(TSR_I8);
constexpr uint32_t kFloatAct = bit(TSR_ACT_FLOAT);
constexpr uint32_t kStaticActs =
    bit(TSR_ACT_I8_STATIC) | bit(TSR_ACT_U8_STATIC) | bit(TSR_ACT_I8_MIX);
constexpr uint32_t kDynamicActs =
    bit(TSR_ACT_I8_DYNAMIC) | bit(TSR_ACT_I4_DYNAMIC);

// One weight format.  Masks are 0 where the format has no such plane.
struct FormatRow {
  const char* float_name;
  const char* integer_name;  // null: no integer activations
  uint32_t format;
  uint32_t scales;  // dtypes
  uint32_t scale2;
  uint32_t zero_points;
  uint32_t group;       // its one group size; 0: any, or the whole row
  uint32_t float_acts;  // act_quants summed in f32
  Layout layout;
};

// clang-format off
constexpr FormatRow kFormats[] = {
    //  float                integer            format                    scales                 scale2        zeros   group float acts                             layout
    {"linear_f32",           nullptr,           TSR_WEIGHT_F32,           0,                     0,            0,      0,    kFloatAct,                             Layout::kRaw},
    {"linear_f16",           nullptr,           TSR_WEIGHT_F16,           0,                     0,            0,      0,    kFloatAct,                             Layout::kRaw},
    {"linear_bf16",          nullptr,           TSR_WEIGHT_BF16,          0,                     0,            0,      0,    kFloatAct,                             Layout::kFormatTiles},
    {"linear_i8",            "linear_q_i8",     TSR_WEIGHT_I8,            kFloats,               kFloats,      kBytes, 0,    kFloatAct,                             Layout::kI8Tiles},
    {"linear_u8",            "linear_q_u8",     TSR_WEIGHT_U8,            kFloats,               kFloats,      kBytes, 0,    kFloatAct,                             Layout::kI8Tiles},
    {"linear_i4",            "linear_q_i4",     TSR_WEIGHT_I4,            kFloats | bit(TSR_U8), kFloats,      0,      0,    kFloatAct,                             Layout::kU4Tiles},
    {"linear_u4",            "linear_q_u4",     TSR_WEIGHT_U4,            kFloats,               kFloats,      kBytes, 0,    kFloatAct,                             Layout::kU4Tiles},
    {"linear_sparse_fixed",  "linear_q_sparse", TSR_WEIGHT_SPARSE_FIXED,  kFloats,               0,            0,      0,    kFloatAct,                             Layout::kSparseTiles},
    {"linear_f8e4m3",        nullptr,           TSR_WEIGHT_F8E4M3,        kFloats,               0,            0,      0,    kFloatAct | bit(TSR_ACT_F8_DYNAMIC),   Layout::kFormatTiles},
    {"linear_f8e5m2",        nullptr,           TSR_WEIGHT_F8E5M2,        kFloats,               0,            0,      0,    kFloatAct | bit(TSR_ACT_F8_DYNAMIC),   Layout::kFormatTiles},
    {"linear_f4e2m1",        nullptr,           TSR_WEIGHT_F4E2M1,        kFloats,               0,            0,      0,    kFloatAct,                             Layout::kFormatTiles},
    {"linear_mxfp4",         nullptr,           TSR_WEIGHT_MXFP4,         bit(TSR_E8M0),         0,            0,      32,   kFloatAct,                             Layout::kFormatTiles},
    {"linear_nvfp4",         nullptr,           TSR_WEIGHT_NVFP4,         bit(TSR_F8E4M3),       bit(TSR_F32), 0,      16,   kFloatAct,                             Layout::kFormatTiles},
    {"linear_q4_0",          nullptr,           TSR_WEIGHT_Q4_0,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q4_1",          nullptr,           TSR_WEIGHT_Q4_1,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q5_0",          nullptr,           TSR_WEIGHT_Q5_0,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q5_1",          nullptr,           TSR_WEIGHT_Q5_1,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q8_0",          nullptr,           TSR_WEIGHT_Q8_0,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q2_k",          nullptr,           TSR_WEIGHT_Q2_K,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kRaw},
    {"linear_q3_k",          nullptr,           TSR_WEIGHT_Q3_K,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kRaw},
    {"linear_q4_k",          nullptr,           TSR_WEIGHT_Q4_K,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q5_k",          nullptr,           TSR_WEIGHT_Q5_K,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_q6_k",          nullptr,           TSR_WEIGHT_Q6_K,          0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
    {"linear_iq4_nl",        nullptr,           TSR_WEIGHT_IQ4_NL,        0,                     0,            0,      0,    kFloatAct | bit(TSR_ACT_Q8),           Layout::kFormatTiles},
};
// clang-format on

constexpr tsr_range kAnyBlock{1, TSR_WHOLE, 1};
constexpr tsr_range kWhole{TSR_WHOLE, TSR_WHOLE, 0};

tsr_plane_rule plane_rule(uint32_t role, uint32_t dtypes, uint32_t required,
                          tsr_range block_n, tsr_range block_k) {
  return {sizeof(tsr_plane_rule), role, dtypes, required, block_n, block_k};
}

// The planes that a weight of that format may have; codes need no rule.
std::vector<tsr_plane_rule> plane_rules(const FormatRow& format,
                                        bool is_integer) {
  std::vector<tsr_plane_rule> rules;
  const tsr_range group =
      format.group == 0 ? kAnyBlock : tsr_range{format.group, format.group, 0};
  if (format.scales != 0) {
    rules.push_back(
        plane_rule(TSR_PLANE_SCALE, format.scales, 1, kAnyBlock, group));
  }
  if (format.scale2 != 0) {
    rules.push_back(
        plane_rule(TSR_PLANE_SCALE2, format.scale2, 0, kAnyBlock, kWhole));
  }
  if (format.zero_points != 0) {
    rules.push_back(plane_rule(TSR_PLANE_ZERO_POINT, format.zero_points, 0,
                               kAnyBlock, group));
  }
  if (format.format == TSR_WEIGHT_SPARSE_FIXED) {
    rules.push_back(plane_rule(TSR_PLANE_INDEX, bit(TSR_I64), 1, {}, {}));
  }
  rules.push_back(plane_rule(TSR_PLANE_PERMUTATION, bit(TSR_I32), 0, {}, {}));
  rules.push_back(
      plane_rule(TSR_PLANE_INPUT_MULTIPLIER, bit(TSR_F32), 0, {}, {}));
  rules.push_back(plane_rule(TSR_PLANE_ACT_SCALE, bit(TSR_F32), 0, {}, {}));
  rules.push_back(plane_rule(TSR_PLANE_ACT_INV, bit(TSR_F32), 0, {}, {}));
  rules.push_back(
      plane_rule(TSR_PLANE_ACT_ZERO_POINT, bit(TSR_I32), 0, {}, {}));
  if (is_integer) {
    rules.push_back(plane_rule(TSR_PLANE_QUANT_BIAS, bit(TSR_I32), 0, {}, {}));
  }
  return rules;
}

tsr_kernel_desc linear_row(const FormatRow& format, bool is_integer) {
  static std::deque<std::vector<tsr_plane_rule>> rules;  // never moves
  rules.push_back(plane_rules(format, is_integer));
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = TSR_OP_LINEAR;
  row.name = is_integer ? format.integer_name : format.float_name;
  row.phases = TSR_PREFILL | TSR_DECODE;
  row.determinism = is_integer ? TSR_DETERMINISM_PORTABLE : TSR_DETERMINISM_RUN;
  row.error_class = is_integer ? TSR_ERROR_EXACT : TSR_ERROR_DOT;
  row.x_dtypes = kFloats;
  row.y_dtypes = kFloats;
  row.accumulator = is_integer ? TSR_I32 : TSR_F32;
  row.act_quants = is_integer ? kStaticActs | kDynamicActs : format.float_acts;
  row.weight_format = format.format;
  row.planes = {rules.back().data(), static_cast<uint32_t>(rules.back().size()),
                sizeof(tsr_plane_rule)};
  row.activations = bit(TSR_EPILOGUE_NONE) | bit(TSR_EPILOGUE_SILU) |
                    bit(TSR_EPILOGUE_GELU_ERF) | bit(TSR_EPILOGUE_GELU_TANH);
  row.fused_operands = TSR_FUSES_BIAS | TSR_FUSES_MULTIPLIER |
                       TSR_FUSES_RESIDUAL | TSR_FUSES_ACCUMULATE |
                       TSR_FUSES_PARTIAL | TSR_FUSES_N_RANGE;
  row.layout = static_cast<uint64_t>(format.layout);
  return row;
}

}  // namespace

std::vector<tsr_kernel_desc> linear_rows() {
  std::vector<tsr_kernel_desc> rows;
  for (const FormatRow& format : kFormats) {
    if (format.integer_name != nullptr)
      rows.push_back(linear_row(format, true));
    rows.push_back(linear_row(format, false));
  }
  return rows;
}

}  // namespace tessera::cpu
