// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/msmodelslim_layout.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/layouts/msmodelslim_attention.hpp"
#include "framework/model/layouts/msmodelslim_sparse.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

using nlohmann::json;

struct TypeRule {
  const char* name;
  uint32_t format;
  uint32_t act_quant;
};

// clang-format off
constexpr TypeRule kTypes[] = {
    {"W8A8",             TSR_WEIGHT_I8,     TSR_ACT_I8_STATIC},
    {"W8A8S",            TSR_WEIGHT_I8,     TSR_ACT_I8_STATIC},
    {"W8A8SC",           TSR_WEIGHT_SPARSE_FIXED, TSR_ACT_I8_STATIC},
    {"W8A8_MIX",         TSR_WEIGHT_I8,     TSR_ACT_I8_MIX},
    {"W8A8_DYNAMIC",     TSR_WEIGHT_I8,     TSR_ACT_I8_DYNAMIC},
    {"W8A16",            TSR_WEIGHT_I8,     TSR_ACT_FLOAT},
    {"W4A16",            TSR_WEIGHT_U4,     TSR_ACT_FLOAT},
    {"W4A8_DYNAMIC",     TSR_WEIGHT_I4,     TSR_ACT_I8_DYNAMIC},
    {"W4A4_DYNAMIC",     TSR_WEIGHT_I4,     TSR_ACT_I4_DYNAMIC},
    {"WFP8AFP8_DYNAMIC", TSR_WEIGHT_F8E4M3, TSR_ACT_F8_DYNAMIC},
};
// clang-format on

bool is_static(uint32_t act_quant) {
  return act_quant == TSR_ACT_I8_STATIC || act_quant == TSR_ACT_I8_MIX;
}

// Whether weight_scale is stored, not only deq_scale.
bool has_weight_scale(uint32_t act_quant) {
  return act_quant != TSR_ACT_I8_STATIC;
}

bool has_nibbles(uint32_t format) {
  return format == TSR_WEIGHT_U4 || format == TSR_WEIGHT_I4;
}

float deq_scale(const TensorView& view, uint32_t n) {
  if (view.dtype == TSR_F32) {
    return format::load_element<float>(view.data.data(), n);
  }
  return std::bit_cast<float>(static_cast<uint32_t>(
      format::load_element<uint64_t>(view.data.data(), n)));
}

class MsModelSlimLayout final : public QuantizedLayout {
 public:
  MsModelSlimLayout(std::map<std::string, std::string> types,
                    uint32_t group_size)
      : types_(std::move(types)), group_size_(group_size) {}

  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    const auto type = types_.find(tensors.module() + ".weight");
    if (type == types_.end() || type->second == "FLOAT") {
      return std::optional<StoredLinear>();
    }
    const TypeRule* rule = nullptr;
    for (const TypeRule& row : kTypes) {
      if (type->second == row.name) rule = &row;
    }
    if (rule == nullptr) {
      return Status(
          TSR_UNIMPLEMENTED,
          fmt::format("{}: {} has type {}, which is not read",
                      kMsModelSlimDescription, type->first, type->second));
    }
    return describe(tensors, *rule);
  }

  Result<std::optional<AttentionScales>> attention(
      const Checkpoint& checkpoint, uint32_t layer) const override {
    return read_msmodelslim_attention(checkpoint, layer);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    if (stored.choice.format == TSR_WEIGHT_SPARSE_FIXED) {
      return read_sparse(tensors, stored);
    }
    const TensorView& codes = *tensors.find("weight");
    if (stored.choice.format == TSR_WEIGHT_F8E4M3) {
      format::WeightData weight{TSR_WEIGHT_F8E4M3, stored.N, stored.K, {}};
      weight.planes.push_back({TSR_PLANE_CODES,
                               TSR_F8E4M3,
                               stored.N,
                               stored.K,
                               1,
                               1,
                               {},
                               codes.data});
      format::Plane scale =
          make_plane(TSR_PLANE_SCALE, TSR_F32, stored.N,
                     count_groups(stored.K, stored.choice.group_size));
      scale.block_n = 1;
      scale.block_k =
          stored.choice.group_size == 0 ? stored.K : stored.choice.group_size;
      weight.planes.push_back(std::move(scale));
      copy_scales(*tensors.find("weight_scale"), &weight);
      return weight;
    }
    format::WeightData weight = make_integer_weight(stored, TSR_F32, stored.N);
    read_codes(codes, &weight);
    if (has_weight_scale(stored.choice.act_quant)) {
      copy_scales(*tensors.find("weight_scale"), &weight);
      TSR_RETURN_IF_ERROR(read_offsets(tensors, &weight));
    }
    if (!is_static(stored.choice.act_quant)) return weight;
    TSR_RETURN_IF_ERROR(read_static(tensors, stored, &weight));
    return weight;
  }

 private:
  static Result<format::WeightData> read_sparse(const ModuleTensors& tensors,
                                                const StoredLinear& stored) {
    TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                         read_msmodelslim_sparse(tensors, stored));
    TSR_RETURN_IF_ERROR(read_static(tensors, stored, &weight));
    return weight;
  }

  Result<std::optional<StoredLinear>> describe(const ModuleTensors& tensors,
                                               const TypeRule& rule) const {
    if (rule.format == TSR_WEIGHT_SPARSE_FIXED) {
      TSR_ASSIGN_OR_RETURN(const auto sides, msmodelslim_sparse_shape(tensors));
      TSR_RETURN_IF_ERROR(check_static(tensors, sides.first));
      return std::optional<StoredLinear>(
          {{rule.format, 0, true, rule.act_quant}, sides.first, sides.second});
    }
    const bool is_fp8 = rule.format == TSR_WEIGHT_F8E4M3;
    TSR_ASSIGN_OR_RETURN(
        const TensorView* const codes,
        tensors.get("weight", {is_fp8 ? TSR_F8E4M3 + 0U : TSR_I8 + 0U}));
    TSR_ASSIGN_OR_RETURN(const auto shape, matrix_shape(*codes));
    StoredLinear stored{
        {rule.format, 0, true, rule.act_quant}, shape.first, shape.second};
    if (has_nibbles(rule.format)) {
      if (stored.K > uint32_t{INT32_MAX} / 2) {
        return tensors.error("weight", "too many columns");
      }
      stored.K *= 2;
    }
    if (is_static(rule.act_quant)) {
      TSR_RETURN_IF_ERROR(check_static(tensors, stored.N));
    }
    if (!has_weight_scale(rule.act_quant)) {
      return std::optional<StoredLinear>(stored);
    }
    TSR_ASSIGN_OR_RETURN(const TensorView* const scales,
                         tensors.get("weight_scale", kFloatTypes));
    const bool grouped = scales->shape.size() == 2 && scales->shape[1] > 1;
    if (grouped) stored.choice.group_size = group_size_;
    const uint32_t groups = count_groups(stored.K, stored.choice.group_size);
    for (const char* part : {"weight_scale", "weight_offset"}) {
      TSR_RETURN_IF_ERROR(
          tensors.get(part, kFloatTypes, stored.N, groups).status());
    }
    TSR_RETURN_IF_ERROR(check_offsets(tensors, &stored.choice));
    return std::optional<StoredLinear>(stored);
  }

  static Status check_static(const ModuleTensors& tensors, uint32_t N) {
    for (const char* part : {"input_scale", "input_offset"}) {
      TSR_RETURN_IF_ERROR(tensors.get(part, kFloatTypes, 1, 1).status());
    }
    TSR_RETURN_IF_ERROR(tensors.get("quant_bias", {TSR_I32}, N, 1).status());
    return tensors.get("deq_scale", {TSR_F32, TSR_I64}, N, 1).status();
  }

  // Offsets are a small part of the file; whether they are all zero decides
  // what the weight is.
  static Status check_offsets(const ModuleTensors& tensors,
                              LinearChoice* choice) {
    const TensorView& offsets = *tensors.find("weight_offset");
    uint64_t count = 1;
    for (const uint64_t extent : offsets.shape) count *= extent;
    for (uint64_t i = 0; i < count; ++i) {
      if (tensor_value(offsets, i) != 0.0) choice->symmetric = false;
    }
    const TensorView* const bias = tensors.find("scale_bias");
    for (uint64_t i = 0; bias != nullptr && !bias->shape.empty() &&
                         bias->dtype == TSR_F32 && i < bias->data.size() / 4;
         ++i) {
      if (tensor_value(*bias, i) != 0.0) {
        return {TSR_UNIMPLEMENTED, fmt::format("tensor {}: a scale_bias other "
                                               "than 0 is not read",
                                               bias->name)};
      }
    }
    if (choice->symmetric || (choice->format != TSR_WEIGHT_I4 &&
                              choice->format != TSR_WEIGHT_F8E4M3)) {
      return {};
    }
    return {TSR_UNIMPLEMENTED,
            fmt::format("tensor {}: an offset other than 0 is not read with "
                        "this type",
                        offsets.name)};
  }

  static void copy_scales(const TensorView& scales,
                          format::WeightData* weight) {
    format::Plane& plane = *weight->find(TSR_PLANE_SCALE);
    const uint64_t count = uint64_t{plane.rows} * plane.cols;
    for (uint64_t i = 0; i < count; ++i) {
      format::store_element(plane.owned.data(), i,
                            static_cast<float>(tensor_value(scales, i)));
    }
  }

  static void read_codes(const TensorView& codes, format::WeightData* weight) {
    format::Plane& plane = *weight->find(TSR_PLANE_CODES);
    std::memcpy(plane.owned.data(), codes.data.data(), codes.data.size());
    if (weight->format != TSR_WEIGHT_U4) return;
    // Signed to unsigned: both nibbles gain 8, which is their upper bit.
    for (std::byte& pair : plane.owned) pair ^= std::byte{0x88};
  }

  static Status read_offsets(const ModuleTensors& tensors,
                             format::WeightData* weight) {
    format::Plane* const plane = weight->find(TSR_PLANE_ZERO_POINT);
    if (plane == nullptr) return {};
    const TensorView& offsets = *tensors.find("weight_offset");
    const int32_t added = code_offset(weight->format);
    const int32_t low = weight->format == TSR_WEIGHT_I8 ? -128 : 0;
    const int32_t high = weight->format == TSR_WEIGHT_I8 ? 127 : 15;
    for (size_t i = 0; i < plane->owned.size(); ++i) {
      const double value = tensor_value(offsets, i) + added;
      if (!(value >= low && value <= high) || value != std::floor(value)) {
        return tensors.error("weight_offset",
                             fmt::format("{} is no zero point", value - added));
      }
      plane->owned[i] = static_cast<std::byte>(static_cast<int32_t>(value));
    }
    return {};
  }

  // The bias in quant_bias is that of the tensor "bias" again, or what remains
  // once the activations' offset is taken out.
  static Status read_static(const ModuleTensors& tensors,
                            const StoredLinear& stored,
                            format::WeightData* weight) {
    const auto scale =
        static_cast<float>(tensor_value(*tensors.find("input_scale"), 0));
    const double offset = tensor_value(*tensors.find("input_offset"), 0);
    if (!(offset >= -128 && offset <= 127) || offset != std::floor(offset)) {
      return tensors.error("input_offset",
                           fmt::format("{} is no zero point", offset));
    }
    const auto zero_point = static_cast<int32_t>(offset);
    const bool has_codes = weight->format != TSR_WEIGHT_SPARSE_FIXED;
    if (has_codes && !has_weight_scale(stored.choice.act_quant)) {
      const TensorView& products = *tensors.find("deq_scale");
      std::byte* const scales = weight->find(TSR_PLANE_SCALE)->owned.data();
      for (uint32_t n = 0; n < stored.N; ++n) {
        format::store_element(scales, n, deq_scale(products, n) / scale);
      }
    }
    TSR_RETURN_IF_ERROR(
        add_static_scale(scale, zero_point, weight).annotate(tensors.module()));
    if (tensors.find("bias") != nullptr) return {};
    return add_quant_bias(tensors, zero_point, weight);
  }

  // Of the codes of each row.
  static Result<std::vector<int64_t>> sums_of(
      const format::WeightData& weight) {
    std::vector<int8_t> expanded;
    if (weight.format == TSR_WEIGHT_SPARSE_FIXED) {
      TSR_ASSIGN_OR_RETURN(expanded, format::decode_sparse_fixed(weight));
    }
    const std::byte* const codes =
        expanded.empty() ? weight.find(TSR_PLANE_CODES)->bytes().data()
                         : std::as_bytes(std::span(expanded)).data();
    std::vector<int64_t> sums(weight.N, 0);
    for (size_t i = 0; i < size_t{weight.N} * weight.K; ++i) {
      sums[i / weight.K] += format::load_element<int8_t>(codes, i);
    }
    return sums;
  }

  static Status add_quant_bias(const ModuleTensors& tensors, int32_t zero_point,
                               format::WeightData* weight) {
    format::Plane plane =
        make_plane(TSR_PLANE_QUANT_BIAS, TSR_I32, weight->N, 1);
    plane.block_n = 1;  // so that a slice of rows takes its part along
    plane.block_k = weight->K;
    const TensorView& stored = *tensors.find("quant_bias");
    TSR_ASSIGN_OR_RETURN(const std::vector<int64_t> sums, sums_of(*weight));
    bool any = false;
    for (uint32_t n = 0; n < weight->N; ++n) {
      const int64_t bias =
          format::load_element<int32_t>(stored.data.data(), n) +
          zero_point * sums[n];
      if (bias != static_cast<int32_t>(bias)) {
        return tensors.error("quant_bias", "does not fit 32 bits");
      }
      format::store_element(plane.owned.data(), n, static_cast<int32_t>(bias));
      any = any || bias != 0;
    }
    if (any) weight->planes.push_back(std::move(plane));
    return {};
  }

  static constexpr std::initializer_list<uint32_t> kFloatTypes = {
      TSR_F32, TSR_F16, TSR_BF16};

  std::map<std::string, std::string> types_;
  uint32_t group_size_;
};

}  // namespace

Result<std::unique_ptr<QuantizedLayout>> make_msmodelslim_layout(
    const json& description) {
  TSR_ASSIGN_OR_RETURN(const JsonObject object,
                       JsonObject::from(description, kMsModelSlimDescription));
  TSR_ASSIGN_OR_RETURN(const int64_t group_size,
                       object.integer("group_size", {0, INT32_MAX}, 0));
  // Beside the tensors' types stand numbers and objects that concern none.
  std::map<std::string, std::string> types;
  for (const auto& [name, type] : description.items()) {
    if (type.is_string()) types.emplace(name, type.get<std::string>());
  }
  return std::unique_ptr<QuantizedLayout>(std::make_unique<MsModelSlimLayout>(
      std::move(types), static_cast<uint32_t>(group_size)));
}

}  // namespace tessera
