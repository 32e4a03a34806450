// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/compressed_tensors_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tessera/ops.h"

namespace tessera {
namespace {

using nlohmann::json;

Status unimplemented(const JsonObject& config, const std::string& key,
                     const std::string& value) {
  return {TSR_UNIMPLEMENTED,
          fmt::format("{}: {} {} is not read", config.where(), key, value)};
}

Status read_targets(const JsonObject& config, CompressedGroup& group) {
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

Status read_strategy(const JsonObject& weights, CompressedGroup& group) {
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

Status read_weights(const JsonObject& weights, bool is_plain_fp4,
                    CompressedGroup& group) {
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
  } else if (type == "float" && bits == 4 && is_plain_fp4) {
    if (group.choice.group_size == 0) {
      return weights.error("group_size", "is missing");
    }
    group.choice.format = TSR_WEIGHT_F4E2M1;
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

Result<CompressedGroup> read_group(const JsonObject& config) {
  CompressedGroup group;
  TSR_RETURN_IF_ERROR(read_targets(config, group));
  TSR_ASSIGN_OR_RETURN(group.choice.act_quant,
                       read_activations(config, &group.symmetric_input));
  TSR_ASSIGN_OR_RETURN(const JsonObject weights, config.object("weights"));
  TSR_ASSIGN_OR_RETURN(const std::string format, config.string("format", ""));
  TSR_RETURN_IF_ERROR(read_weights(weights, format == kCompressedFp4, group));
  return group;
}

bool names_module(const CompressedGroup& group, const std::string& name) {
  return std::find(group.names.begin(), group.names.end(), name) !=
         group.names.end();
}

bool matches_module(const CompressedGroup& group, const std::string& module) {
  return std::any_of(
      group.patterns.begin(), group.patterns.end(), [&](const Regex& pattern) {
        std::vector<TextRange> found;
        return pattern.find_all(module, found).ok() && !found.empty();
      });
}

}  // namespace

Result<std::vector<CompressedGroup>> read_compressed_groups(
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
  std::vector<CompressedGroup> groups;
  for (const auto& [name, value] : listed->items()) {
    TSR_ASSIGN_OR_RETURN(
        const JsonObject object,
        JsonObject::from(value, config.where() + " config_groups " + name));
    TSR_ASSIGN_OR_RETURN(CompressedGroup group, read_group(object));
    groups.push_back(std::move(group));
  }
  return groups;
}

const CompressedGroup* find_compressed_group(
    const std::vector<CompressedGroup>& groups, const std::string& module) {
  for (const CompressedGroup& group : groups) {
    if (names_module(group, module)) return &group;
  }
  for (const CompressedGroup& group : groups) {
    if (matches_module(group, module)) return &group;
  }
  for (const CompressedGroup& group : groups) {
    if (names_module(group, "Linear")) return &group;
  }
  return nullptr;
}

}  // namespace tessera
