// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/capabilities.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace tessera::npu {
namespace {

constexpr uint32_t bit(uint32_t value) { return 1U << value; }

constexpr uint32_t kBothPhases = TSR_PREFILL | TSR_DECODE;
constexpr uint32_t kScales = bit(TSR_F32) | bit(TSR_F16) | bit(TSR_BF16);
constexpr uint32_t kStaticActs =
    bit(TSR_ACT_I8_STATIC) | bit(TSR_ACT_U8_STATIC) | bit(TSR_ACT_I8_MIX);
constexpr tsr_range kAnyBlock{1, TSR_WHOLE, 1};
// Sums of integers end where fractals of the cube do.
constexpr tsr_range kFractals8{32, TSR_WHOLE, 32};
constexpr tsr_range kFractals4{64, TSR_WHOLE, 64};
constexpr tsr_range kWhole{TSR_WHOLE, TSR_WHOLE, 0};

tsr_plane_rule plane_rule(uint32_t role, uint32_t dtypes, uint32_t required,
                          tsr_range block_n, tsr_range block_k) {
  return {sizeof(tsr_plane_rule), role, dtypes, required, block_n, block_k};
}

// One way to multiply by a weight.
struct Product {
  const char* name;
  uint32_t format;
  uint32_t acts;
  uint32_t scales;       // dtypes; 0: no such plane
  tsr_range groups;      // of the scales, along K
  uint32_t scale2;       // dtypes
  uint32_t zero_points;  // dtypes
  bool is_integer;
};

class RowMaker {
 public:
  explicit RowMaker(const Profile& profile)
      : floats_(bit(TSR_F32) | bit(TSR_F16) |
                (profile.cube.bf16 ? bit(TSR_BF16) : 0)) {}

  tsr_kernel_desc& add(uint32_t op, const char* name) {
    tsr_kernel_desc row{};
    row.struct_size = sizeof(row);
    row.op = op;
    row.name = name;
    row.phases = kBothPhases;
    row.determinism = TSR_DETERMINISM_PORTABLE;
    row.error_class = TSR_ERROR_FLOAT;
    row.x_dtypes = floats_;
    row.y_dtypes = floats_;
    row.accumulator = TSR_F32;
    row.activations = bit(TSR_EPILOGUE_NONE);
    rows_.rows.push_back(row);
    return rows_.rows.back();
  }

  void add_product(const Product& product) {
    rows_.rules.push_back(rules_of(product));
    const std::vector<tsr_plane_rule>& rules = rows_.rules.back();
    tsr_kernel_desc& row = add(TSR_OP_LINEAR, product.name);
    if (!product.is_integer) row.determinism = TSR_DETERMINISM_RUN;
    row.error_class = product.is_integer ? TSR_ERROR_EXACT
                      : product.format == TSR_WEIGHT_F8E4M3
                          ? TSR_ERROR_DOT  // codes are the oracle's
                          : TSR_ERROR_HALF_PRODUCTS;
    row.accumulator = product.is_integer ? TSR_I32 : TSR_F32;
    row.act_quants = product.acts;
    row.weight_format = product.format;
    row.planes = {rules.data(), static_cast<uint32_t>(rules.size()),
                  sizeof(tsr_plane_rule)};
    row.activations = bit(TSR_EPILOGUE_NONE) | bit(TSR_EPILOGUE_SILU) |
                      bit(TSR_EPILOGUE_GELU_ERF) | bit(TSR_EPILOGUE_GELU_TANH);
    row.fused_operands = TSR_FUSES_BIAS | TSR_FUSES_MULTIPLIER |
                         TSR_FUSES_RESIDUAL | TSR_FUSES_ACCUMULATE |
                         TSR_FUSES_PARTIAL | TSR_FUSES_N_RANGE;
  }

  tsr_kernel_desc& add_attention(const char* name, uint32_t kv_formats) {
    tsr_kernel_desc& row = add(TSR_OP_ATTENTION, name);
    row.kv_formats = kv_formats;
    row.masks =
        bit(TSR_MASK_CAUSAL) | bit(TSR_MASK_FULL) | bit(TSR_MASK_SLIDING);
    return row;
  }

  KernelRows take() { return std::move(rows_); }

 private:
  static std::vector<tsr_plane_rule> rules_of(const Product& product) {
    std::vector<tsr_plane_rule> rules;
    if (product.scales != 0) {
      rules.push_back(plane_rule(TSR_PLANE_SCALE, product.scales, 1, kAnyBlock,
                                 product.groups));
    }
    if (product.scale2 != 0) {
      rules.push_back(
          plane_rule(TSR_PLANE_SCALE2, product.scale2, 0, kAnyBlock, kWhole));
    }
    if (product.zero_points != 0) {
      rules.push_back(plane_rule(TSR_PLANE_ZERO_POINT, product.zero_points, 0,
                                 kAnyBlock, product.groups));
    }
    if (product.format == TSR_WEIGHT_SPARSE_FIXED) {
      rules.push_back(plane_rule(TSR_PLANE_INDEX, bit(TSR_I64), 1, {}, {}));
    }
    rules.push_back(plane_rule(TSR_PLANE_PERMUTATION, bit(TSR_I32), 0, {}, {}));
    rules.push_back(
        plane_rule(TSR_PLANE_INPUT_MULTIPLIER, bit(TSR_F32), 0, {}, {}));
    rules.push_back(plane_rule(TSR_PLANE_ACT_SCALE, bit(TSR_F32), 0, {}, {}));
    rules.push_back(plane_rule(TSR_PLANE_ACT_INV, bit(TSR_F32), 0, {}, {}));
    rules.push_back(
        plane_rule(TSR_PLANE_ACT_ZERO_POINT, bit(TSR_I32), 0, {}, {}));
    if (product.is_integer) {
      rules.push_back(
          plane_rule(TSR_PLANE_QUANT_BIAS, bit(TSR_I32), 0, {}, {}));
    }
    return rules;
  }

  uint32_t floats_;
  KernelRows rows_;
};

void add_products(const Profile& profile, RowMaker& rows) {
  constexpr uint32_t kFloat = bit(TSR_ACT_FLOAT);
  constexpr uint32_t kBytes = bit(TSR_I8) | bit(TSR_U8);
  constexpr uint32_t kAll8 = kStaticActs | bit(TSR_ACT_I8_DYNAMIC);
  rows.add_product({"linear_f16", TSR_WEIGHT_F16, kFloat, 0, {}, 0, 0, false});
  if (profile.cube.bf16) {
    rows.add_product(
        {"linear_bf16", TSR_WEIGHT_BF16, kFloat, 0, {}, 0, 0, false});
  }
  rows.add_product(
      {"linear_w8a8", TSR_WEIGHT_I8, kAll8, kScales, kWhole, 0, 0, true});
  rows.add_product({"linear_w8a16", TSR_WEIGHT_I8, kFloat, kScales, kAnyBlock,
                    kScales, kBytes, false});
  rows.add_product({"linear_w4a16", TSR_WEIGHT_U4, kFloat, kScales, kAnyBlock,
                    kScales, kBytes, false});
  if (profile.cube.macs_f8 > 0) {
    rows.add_product({"linear_fp8", TSR_WEIGHT_F8E4M3, bit(TSR_ACT_F8_DYNAMIC),
                      kScales, kWhole, 0, 0, false});
  }
  constexpr uint32_t kGroupScales = kScales | bit(TSR_U8);
  rows.add_product({"linear_w4a8", TSR_WEIGHT_I4, bit(TSR_ACT_I8_DYNAMIC),
                    kGroupScales, kFractals8, kScales, 0, true});
  if (profile.cube.macs_s4 > 0) {
    rows.add_product({"linear_w4a4", TSR_WEIGHT_I4, bit(TSR_ACT_I4_DYNAMIC),
                      kGroupScales, kFractals4, kScales, 0, true});
  }
  if (profile.unzip.engines > 0) {
    rows.add_product({"linear_w8a8sc", TSR_WEIGHT_SPARSE_FIXED, kAll8, kScales,
                      kWhole, 0, 0, true});
  }
}

void add_attention(const Profile& profile, RowMaker& rows) {
  const uint32_t floats =
      bit(TSR_KV_F16) | (profile.cube.bf16 ? bit(TSR_KV_BF16) : 0);
  const uint32_t bytes = bit(TSR_KV_I8_TOKEN) | bit(TSR_KV_I8_CHANNEL);
  for (const auto& [name, formats] :
       {std::pair{"attention", floats}, std::pair{"attention_kv8", bytes}}) {
    tsr_kernel_desc& attention = rows.add_attention(name, formats);
    attention.determinism = TSR_DETERMINISM_RUN;
    attention.error_class = TSR_ERROR_HALF_PRODUCTS;
    // Scales of 8 tokens fill the 32 bytes that UB is filled by.
    if (formats == bytes) attention.block_size.multiple = 8;
  }
  rows.add_attention("attention_fa3", bit(TSR_KV_I8_HEAD)).error_class =
      TSR_ERROR_EXACT;
  tsr_kernel_desc& append = rows.add(TSR_OP_KV_APPEND, "kv_append");
  append.error_class = TSR_ERROR_EXACT;
  append.kv_formats = floats | bytes | bit(TSR_KV_I8_HEAD);
  append.rope_styles =
      bit(TSR_ROPE_NONE) | bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
}

void add_row_ops(RowMaker& rows) {
  rows.add(TSR_OP_RMS_NORM, "rms_norm");
  rows.add(TSR_OP_LAYER_NORM, "layer_norm");
  rows.add(TSR_OP_ROPE, "rope").rope_styles =
      bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
  rows.add(TSR_OP_ADD, "add");
  rows.add(TSR_OP_SILU_MUL, "silu_mul");
  rows.add(TSR_OP_GELU, "gelu").activations =
      bit(TSR_EPILOGUE_GELU_ERF) | bit(TSR_EPILOGUE_GELU_TANH);
  rows.add(TSR_OP_SOFTMAX, "softmax");
  // A table is only moved; a bf16 one widens by a shift, on any chip.
  rows.add(TSR_OP_EMBEDDING, "embedding").x_dtypes |= bit(TSR_BF16);
  rows.add(TSR_OP_GATHER_ROWS, "gather_rows");
}

bool uses_bf16(const sdk::OpFacts& facts) {
  const bool input = std::any_of(
      facts.inputs.begin(), facts.inputs.end(),
      [](const sdk::OpFacts::Input& x) { return x.dtype == TSR_BF16; });
  return input || facts.y_dtype == TSR_BF16 ||
         facts.weight_format == TSR_WEIGHT_BF16 ||
         facts.kv_format == TSR_KV_BF16;
}

}  // namespace

KernelRows kernel_rows(const Profile& profile) {
  RowMaker rows(profile);
  add_products(profile, rows);
  add_attention(profile, rows);
  add_row_ops(rows);
  return rows.take();
}

std::optional<std::string> missing_hardware(const Profile& profile,
                                            const sdk::OpFacts& facts) {
  const bool sparse = facts.weight_format == TSR_WEIGHT_SPARSE_FIXED ||
                      facts.weight_format == TSR_WEIGHT_SPARSE_ENTROPY;
  if (sparse && profile.unzip.engines == 0) {
    return profile.name +
           " has no weight-unzip engine, so no w8a8sc; 310p has one";
  }
  const bool is_f8 = facts.weight_format == TSR_WEIGHT_F8E4M3 ||
                     facts.weight_format == TSR_WEIGHT_F8E5M2 ||
                     facts.act_quant == TSR_ACT_F8_DYNAMIC;
  if (is_f8 && profile.cube.macs_f8 == 0) {
    return profile.name + " has no fp8; the first chip with it is 950";
  }
  if (facts.act_quant == TSR_ACT_I4_DYNAMIC && profile.cube.macs_s4 == 0) {
    return profile.name + " has no int4 products";
  }
  if (uses_bf16(facts) && !profile.cube.bf16) {
    return profile.name + " has no bf16; f16 works";
  }
  if (facts.weight_format == TSR_WEIGHT_F32 || facts.kv_format == TSR_KV_F32) {
    return profile.name + ": the cube multiplies no f32 here; f16 works";
  }
  return std::nullopt;
}

}  // namespace tessera::npu
