// SPDX-License-Identifier: Apache-2.0

#include "framework/model/compressed_tensors_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/fp4_layout.hpp"
#include "framework/model/regex.hpp"
#include "tessera/ops.h"

namespace tessera {
namespace {

using nlohmann::json;

// What a config says about the linears of one group.
struct Group {
  std::vector<std::string> names;  // of modules, or classes of them
  std::vector<Regex> patterns;
  LinearChoice choice;
  uint32_t bits = 0;
  bool per_tensor = false;
  bool symmetric_input = true;
};

Status unimplemented(const JsonObject& config, const std::string& key,
                     const std::string& value) {
  return {TSR_UNIMPLEMENTED,
          fmt::format("{}: {} {} is not read", config.where(), key, value)};
}

Status read_targets(const JsonObject& config, Group& group) {
  TSR_ASSIGN_OR_RETURN(const json* const targets, config.array("targets"));
  if (targets == nullptr) return config.error("targets", "is missing");
  for (const json& target : *targets) {
    if (!target.is_string()) return config.error("targets", "holds no string");
    const auto& text = target.get_ref<const std::string&>();
    if (!text.starts_with("re:")) {
      group.names.push_back(text);
      continue;
    }
    // Python's re.match: from the first character on.
    TSR_ASSIGN_OR_RETURN(Regex pattern,
                         Regex::compile("^(?:" + text.substr(3) + ")"));
    group.patterns.push_back(std::move(pattern));
  }
  return {};
}

Result<uint32_t> read_activations(const JsonObject& group, bool* symmetric) {
  if (group.find("input_activations") == nullptr) return TSR_ACT_FLOAT + 0U;
  TSR_ASSIGN_OR_RETURN(const JsonObject input,
                       group.object("input_activations"));
  TSR_ASSIGN_OR_RETURN(const int64_t bits,
                       input.integer("num_bits", {1, 32}, 8));
  TSR_ASSIGN_OR_RETURN(const std::string type, input.string("type", "int"));
  if (type == "float" && bits == 4) return TSR_ACT_FLOAT + 0U;
  if (type == "float" && bits == 8) return TSR_ACT_F8_DYNAMIC + 0U;
  const std::string named = fmt::format("{} of {} bits", type, bits);
  if (type != "int" || (bits != 4 && bits != 8)) {
    return unimplemented(input, "num_bits", named);
  }
  TSR_ASSIGN_OR_RETURN(*symmetric, input.boolean("symmetric", true));
  // "local" is a word of dynamic too.
  const json* const value = input.find("dynamic");
  const bool dynamic = value != nullptr && *value != json(false);
  if (bits == 8 && !dynamic) return TSR_ACT_I8_STATIC + 0U;
  if (!dynamic || !*symmetric) {
    return unimplemented(input, dynamic ? "symmetric" : "dynamic",
                         "false with " + named);
  }
  return bits == 8 ? TSR_ACT_I8_DYNAMIC + 0U : TSR_ACT_I4_DYNAMIC + 0U;
}

Status read_strategy(const JsonObject& weights, Group& group) {
  TSR_ASSIGN_OR_RETURN(const int64_t size,
                       weights.integer("group_size", {-1, INT32_MAX}, 0));
  TSR_ASSIGN_OR_RETURN(
      const std::string strategy,
      weights.string("strategy", size > 0 ? "group" : "tensor"));
  if (strategy == "group" || strategy == "tensor_group") {
    if (size <= 0) return weights.error("group_size", "is missing");
    group.choice.group_size = static_cast<uint32_t>(size);
    return {};
  }
  group.per_tensor = strategy == "tensor";
  if (strategy == "tensor" || strategy == "channel") return {};
  return unimplemented(weights, "strategy", strategy);
}

Status read_weights(const JsonObject& weights, Group& group) {
  TSR_ASSIGN_OR_RETURN(const int64_t bits,
                       weights.integer("num_bits", {1, 32}, 8));
  TSR_ASSIGN_OR_RETURN(const std::string type, weights.string("type", "int"));
  TSR_ASSIGN_OR_RETURN(group.choice.symmetric,
                       weights.boolean("symmetric", true));
  TSR_RETURN_IF_ERROR(read_strategy(weights, group));
  group.bits = static_cast<uint32_t>(bits);
  const bool integer_input = group.choice.act_quant == TSR_ACT_I8_DYNAMIC ||
                             group.choice.act_quant == TSR_ACT_I4_DYNAMIC ||
                             group.choice.act_quant == TSR_ACT_I8_STATIC;
  if (type == "int" && bits == 8) {
    group.choice.format = TSR_WEIGHT_I8;
  } else if (type == "int" && bits == 4) {
    group.choice.format =
        integer_input && group.choice.symmetric ? TSR_WEIGHT_I4 : TSR_WEIGHT_U4;
  } else if (type == "float" && bits == 8) {
    group.choice.format = TSR_WEIGHT_F8E4M3;
  } else if (type == "float" && bits == 4) {
    group.choice.format =
        group.choice.group_size == 16 ? TSR_WEIGHT_NVFP4 : TSR_WEIGHT_MXFP4;
    if (group.choice.group_size != 16 && group.choice.group_size != 32) {
      return unimplemented(weights, "group_size",
                           std::to_string(group.choice.group_size));
    }
  } else {
    return unimplemented(weights, "num_bits",
                         fmt::format("{} of type {}", bits, type));
  }
  return {};
}

Result<Group> read_group(const JsonObject& config) {
  Group group;
  TSR_RETURN_IF_ERROR(read_targets(config, group));
  TSR_ASSIGN_OR_RETURN(group.choice.act_quant,
                       read_activations(config, &group.symmetric_input));
  TSR_ASSIGN_OR_RETURN(const JsonObject weights, config.object("weights"));
  TSR_RETURN_IF_ERROR(read_weights(weights, group));
  return group;
}

bool names_module(const Group& group, const std::string& name) {
  return std::find(group.names.begin(), group.names.end(), name) !=
         group.names.end();
}

bool matches_module(const Group& group, const std::string& module) {
  return std::any_of(
      group.patterns.begin(), group.patterns.end(), [&](const Regex& pattern) {
        std::vector<TextRange> found;
        return pattern.find_all(module, found).ok() && !found.empty();
      });
}

uint32_t word(const TensorView& view, size_t index) {
  return format::load_element<uint32_t>(view.data.data(), index);
}

// Value + 2^(bits - 1), as it is packed, into a code of the plane.
void store_code(format::Plane& plane, uint32_t row, uint32_t col,
                uint32_t packed) {
  std::byte* const bytes = plane.mutable_row(row);
  switch (plane.dtype) {
    case TSR_U4:
      format::set_nibble(bytes, col, packed);
      return;
    case TSR_I4:
      format::set_nibble(bytes, col, packed ^ 8U);
      return;
    case TSR_I8:
      bytes[col] = static_cast<std::byte>(packed ^ 0x80U);
      return;
    default:
      bytes[col] = static_cast<std::byte>(packed);
  }
}

class CompressedTensorsLayout final : public QuantizedLayout {
 public:
  explicit CompressedTensorsLayout(std::vector<Group> groups)
      : groups_(std::move(groups)) {}

  Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const override {
    const bool packed = tensors.find("weight_packed") != nullptr;
    if (!packed && tensors.find("weight_scale") == nullptr) {
      return std::optional<StoredLinear>();
    }
    const Group* const group = group_of(tensors.module());
    if (group == nullptr) {
      return tensors.error("weight_scale",
                           "no target of quantization_config "
                           "is " +
                               tensors.module());
    }
    StoredLinear stored{group->choice, 0, 0};
    TSR_ASSIGN_OR_RETURN(const auto shape,
                         shape_of(tensors, group->choice.format, packed));
    std::tie(stored.N, stored.K) = shape;
    TSR_RETURN_IF_ERROR(check_scales(tensors, *group, stored, packed));
    TSR_RETURN_IF_ERROR(check_inputs(tensors, *group));
    return std::optional<StoredLinear>(stored);
  }

  Result<format::WeightData> read(const ModuleTensors& tensors,
                                  const StoredLinear& stored) const override {
    const Group& group = *group_of(tensors.module());
    switch (stored.choice.format) {
      case TSR_WEIGHT_NVFP4:
      case TSR_WEIGHT_MXFP4:
        return read_fp4(tensors, stored);
      case TSR_WEIGHT_F8E4M3:
        return read_fp8(tensors, stored, group);
      default:
        return read_integers(tensors, stored, group);
    }
  }

 private:
  // A name goes before a pattern, a pattern before a class.
  const Group* group_of(const std::string& module) const {
    for (const Group& group : groups_) {
      if (names_module(group, module)) return &group;
    }
    for (const Group& group : groups_) {
      if (matches_module(group, module)) return &group;
    }
    for (const Group& group : groups_) {
      if (names_module(group, "Linear")) return &group;
    }
    return nullptr;
  }

  static bool is_fp4(uint32_t format) {
    return format == TSR_WEIGHT_NVFP4 || format == TSR_WEIGHT_MXFP4;
  }

  static Result<std::pair<uint32_t, uint32_t>> shape_of(
      const ModuleTensors& tensors, uint32_t format, bool packed) {
    if (is_fp4(format)) {
      TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                           tensors.get("weight_packed", {TSR_U8}));
      TSR_ASSIGN_OR_RETURN(auto shape, matrix_shape(*codes));
      if (shape.second > uint32_t{INT32_MAX} / 2) {
        return tensors.error("weight_packed", "too many columns");
      }
      shape.second *= 2;
      return shape;
    }
    if (!packed) {
      const uint32_t dtype = format == TSR_WEIGHT_F8E4M3 ? TSR_F8E4M3 : TSR_I8;
      TSR_ASSIGN_OR_RETURN(const TensorView* const codes,
                           tensors.get("weight", {dtype}));
      return matrix_shape(*codes);
    }
    return packed_shape(tensors, format == TSR_WEIGHT_I8 ? 8 : 4);
  }

  static Result<std::pair<uint32_t, uint32_t>> packed_shape(
      const ModuleTensors& tensors, uint32_t bits) {
    TSR_ASSIGN_OR_RETURN(const TensorView* const view,
                         tensors.get("weight_shape", {TSR_I32, TSR_I64}, 2, 1));
    const double rows = tensor_value(*view, 0);
    const double cols = tensor_value(*view, 1);
    if (!(rows >= 1 && rows <= INT32_MAX && cols >= 1 && cols <= INT32_MAX)) {
      return tensors.error("weight_shape",
                           fmt::format("[{}, {}] is no shape", rows, cols));
    }
    const auto K = static_cast<uint32_t>(cols);
    const auto N = static_cast<uint32_t>(rows);
    const uint32_t per_word = 32 / bits;
    TSR_RETURN_IF_ERROR(
        tensors
            .get("weight_packed", {TSR_I32}, N, (K + per_word - 1) / per_word)
            .status());
    return std::pair(N, K);
  }

  static Status check_scales(const ModuleTensors& tensors, const Group& group,
                             const StoredLinear& stored, bool packed) {
    const uint32_t groups = count_groups(stored.K, group.choice.group_size);
    if (group.choice.format == TSR_WEIGHT_MXFP4) {
      return tensors.get("weight_scale", {TSR_U8, TSR_E8M0}, stored.N, groups)
          .status();
    }
    if (group.choice.format == TSR_WEIGHT_NVFP4) {
      TSR_RETURN_IF_ERROR(
          tensors.get("weight_global_scale", {TSR_F32}, 1, 1).status());
      return tensors.get("weight_scale", {TSR_F8E4M3}, stored.N, groups)
          .status();
    }
    const uint32_t rows = group.per_tensor ? 1 : stored.N;
    TSR_RETURN_IF_ERROR(
        tensors.get("weight_scale", {TSR_F32, TSR_F16, TSR_BF16}, rows, groups)
            .status());
    if (packed && tensors.find("weight_g_idx") != nullptr) {
      TSR_RETURN_IF_ERROR(
          tensors.get("weight_g_idx", {TSR_I32}, stored.K, 1).status());
    }
    if (group.choice.symmetric) return {};
    if (!packed) {
      return tensors.get("weight_zero_point", {TSR_I8}, rows, groups).status();
    }
    const uint32_t per_word = 32 / group.bits;
    return tensors
        .get("weight_zero_point", {TSR_I32}, (rows + per_word - 1) / per_word,
             groups)
        .status();
  }

  static Status check_inputs(const ModuleTensors& tensors, const Group& group) {
    if (group.choice.act_quant != TSR_ACT_I8_STATIC) return {};
    TSR_RETURN_IF_ERROR(
        tensors.get("input_scale", {TSR_F32, TSR_F16, TSR_BF16}, 1, 1)
            .status());
    if (group.symmetric_input) return {};
    return tensors.get("input_zero_point", {TSR_I8}, 1, 1).status();
  }

  static Result<format::WeightData> read_fp4(const ModuleTensors& tensors,
                                             const StoredLinear& stored) {
    format::Fp4Tensors parts;
    parts.codes = tensors.find("weight_packed")->data;
    parts.scales = tensors.find("weight_scale")->data;
    auto layout = format::Fp4Layout::kMxfp4CompressedTensors;
    if (stored.choice.format == TSR_WEIGHT_NVFP4) {
      layout = format::Fp4Layout::kNvfp4CompressedTensors;
      parts.tensor_scale = format::load_element<float>(
          tensors.find("weight_global_scale")->data.data(), 0);
    }
    return format::read_fp4(layout, stored.N, stored.K, parts)
        .annotate(tensors.module());
  }

  static Result<format::WeightData> read_fp8(const ModuleTensors& tensors,
                                             const StoredLinear& stored,
                                             const Group& group) {
    const TensorView& codes = *tensors.find("weight");
    const TensorView& scales = *tensors.find("weight_scale");
    format::WeightData weight{TSR_WEIGHT_F8E4M3, stored.N, stored.K, {}};
    weight.planes.push_back({TSR_PLANE_CODES,
                             TSR_F8E4M3,
                             stored.N,
                             stored.K,
                             1,
                             1,
                             {},
                             codes.data});
    const uint32_t group_size = stored.choice.group_size;
    format::Plane scale = make_plane(TSR_PLANE_SCALE, scales.dtype,
                                     group.per_tensor ? 1 : stored.N,
                                     count_groups(stored.K, group_size));
    scale.block_n = group.per_tensor ? stored.N : 1;
    scale.block_k = group_size == 0 ? stored.K : group_size;
    std::memcpy(scale.owned.data(), scales.data.data(), scale.owned.size());
    weight.planes.push_back(std::move(scale));
    return weight;
  }

  static Result<format::WeightData> read_integers(const ModuleTensors& tensors,
                                                  const StoredLinear& stored,
                                                  const Group& group) {
    const TensorView& scales = *tensors.find("weight_scale");
    format::WeightData weight = make_integer_weight(
        stored, scales.dtype, group.per_tensor ? 1 : stored.N);
    std::memcpy(weight.find(TSR_PLANE_SCALE)->owned.data(), scales.data.data(),
                scales.data.size());
    std::vector<int32_t> order;
    if (tensors.find("weight_packed") != nullptr) {
      TSR_ASSIGN_OR_RETURN(order, column_order(tensors, stored));
      read_packed(tensors, group.bits, order, &weight);
    } else {
      TSR_RETURN_IF_ERROR(read_bytes(tensors, group.bits, &weight));
    }
    add_permutation(order, &weight);
    if (stored.choice.act_quant != TSR_ACT_I8_STATIC) return weight;
    const double scale = tensor_value(*tensors.find("input_scale"), 0);
    const double zero =
        group.symmetric_input
            ? 0.0
            : tensor_value(*tensors.find("input_zero_point"), 0);
    TSR_RETURN_IF_ERROR(add_static_scale(static_cast<float>(scale),
                                         static_cast<int32_t>(zero), &weight)
                            .annotate(tensors.module()));
    return weight;
  }

  static Result<std::vector<int32_t>> column_order(const ModuleTensors& tensors,
                                                   const StoredLinear& stored) {
    const TensorView* const view = tensors.find("weight_g_idx");
    if (view == nullptr) return std::vector<int32_t>();
    std::vector<int32_t> group_of(stored.K);
    std::memcpy(group_of.data(), view->data.data(), view->data.size());
    // -1: a file of the time before activation order was known.
    if (std::all_of(group_of.begin(), group_of.end(),
                    [](int32_t group) { return group == -1; })) {
      return std::vector<int32_t>();
    }
    return order_of_groups(group_of, stored.choice.group_size)
        .annotate("tensor " + view->name);
  }

  static void read_packed(const ModuleTensors& tensors, uint32_t bits,
                          const std::vector<int32_t>& order,
                          format::WeightData* weight) {
    const TensorView& codes = *tensors.find("weight_packed");
    const uint32_t per_word = 32 / bits;
    const uint32_t mask = (1U << bits) - 1;
    const uint32_t words = (weight->K + per_word - 1) / per_word;
    format::Plane& plane = *weight->find(TSR_PLANE_CODES);
    for (uint32_t n = 0; n < weight->N; ++n) {
      for (uint32_t k = 0; k < weight->K; ++k) {
        const uint32_t from =
            order.empty() ? k : static_cast<uint32_t>(order[k]);
        const uint32_t packed =
            word(codes, size_t{n} * words + from / per_word);
        store_code(plane, n, k, packed >> (from % per_word * bits) & mask);
      }
    }
    format::Plane* const zeros = weight->find(TSR_PLANE_ZERO_POINT);
    if (zeros == nullptr) return;
    const TensorView& stored = *tensors.find("weight_zero_point");
    for (uint32_t n = 0; n < zeros->rows; ++n) {
      for (uint32_t group = 0; group < zeros->cols; ++group) {
        const uint32_t packed =
            word(stored, size_t{n / per_word} * zeros->cols + group);
        store_code(*zeros, n, group, packed >> (n % per_word * bits) & mask);
      }
    }
  }

  // int-quantized: one signed code a byte, also of 4 bits.
  static Status read_bytes(const ModuleTensors& tensors, uint32_t bits,
                           format::WeightData* weight) {
    const int32_t middle = 1 << (bits - 1);
    const auto copy = [&](const std::string& part,
                          format::Plane& plane) -> Status {
      const TensorView& view = *tensors.find(part);
      for (uint32_t row = 0; row < plane.rows; ++row) {
        for (uint32_t col = 0; col < plane.cols; ++col) {
          const int32_t code{format::load_element<int8_t>(
              view.data.data(), size_t{row} * plane.cols + col)};
          if (code < -middle || code >= middle) {
            return tensors.error(
                part, fmt::format("code {} has more than {} bits", code, bits));
          }
          store_code(plane, row, col, static_cast<uint32_t>(code + middle));
        }
      }
      return {};
    };
    TSR_RETURN_IF_ERROR(copy("weight", *weight->find(TSR_PLANE_CODES)));
    format::Plane* const zeros = weight->find(TSR_PLANE_ZERO_POINT);
    return zeros == nullptr ? Status() : copy("weight_zero_point", *zeros);
  }

  std::vector<Group> groups_;
};

}  // namespace

Result<std::unique_ptr<QuantizedLayout>> make_compressed_tensors_layout(
    const JsonObject& config) {
  if (config.find("sparsity_config") != nullptr) {
    TSR_ASSIGN_OR_RETURN(const JsonObject sparsity,
                         config.object("sparsity_config"));
    TSR_ASSIGN_OR_RETURN(const std::string format,
                         sparsity.string("format", "dense"));
    if (format != "dense") return unimplemented(sparsity, "format", format);
  }
  const json* const listed = config.find("config_groups");
  if (listed == nullptr || !listed->is_object() || listed->empty()) {
    return config.error("config_groups", "is not an object with groups");
  }
  std::vector<Group> groups;
  for (const auto& [name, value] : listed->items()) {
    TSR_ASSIGN_OR_RETURN(
        const JsonObject object,
        JsonObject::from(value, config.where() + " config_groups " + name));
    TSR_ASSIGN_OR_RETURN(Group group, read_group(object));
    groups.push_back(std::move(group));
  }
  return std::unique_ptr<QuantizedLayout>(
      std::make_unique<CompressedTensorsLayout>(std::move(groups)));
}

}  // namespace tessera
