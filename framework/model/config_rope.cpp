// SPDX-License-Identifier: Apache-2.0

#include "framework/model/config_rope.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace tessera {
namespace {

constexpr JsonObject::Bounds kPositions{1, 1 << 28};
constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;

struct TypeName {
  const char* name;
  RopeType type;
};

constexpr TypeName kTypeNames[] = {
    {"default", RopeType::kDefault}, {"linear", RopeType::kLinear},
    {"dynamic", RopeType::kDynamic}, {"llama3", RopeType::kLlama3},
    {"yarn", RopeType::kYarn},
};

Result<RopeType> read_type(const JsonObject& scaling) {
  const char* const key = scaling.find("rope_type") ? "rope_type" : "type";
  TSR_ASSIGN_OR_RETURN(const std::string name, scaling.string(key, "default"));
  for (const TypeName& known : kTypeNames) {
    if (name == known.name) return known.type;
  }
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("{}: {}={} is not supported; default, linear, "
                            "dynamic, llama3 and yarn are",
                            scaling.where(), key, name));
}

// A number in (0, max]; comparisons are false for NaN.
Result<double> positive(const JsonObject& object, const std::string& key,
                        double max, std::optional<double> fallback = {}) {
  TSR_ASSIGN_OR_RETURN(const double value, object.number(key, fallback));
  if (!(value > 0.0 && value <= max)) {
    return object.error(
        key,
        fmt::format("is {}, expected more than 0 and at most {}", value, max));
  }
  return value;
}

Status check_full_rotation(const JsonObject& object) {
  TSR_ASSIGN_OR_RETURN(const double part,
                       object.number("partial_rotary_factor", 1.0));
  if (part == 1.0) return {};
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("{}: partial_rotary_factor={} is not supported; 1 "
                            "is",
                            object.where(), part));
}

// The top-level key wins over the one in the object, and max_positions stands
// in for both.
Result<uint32_t> read_original_max(const JsonObject& config,
                                   const JsonObject& scaling,
                                   uint32_t max_positions) {
  const std::string key = "original_max_position_embeddings";
  const JsonObject& holder = config.find(key) != nullptr ? config : scaling;
  TSR_ASSIGN_OR_RETURN(const int64_t value,
                       holder.integer(key, kPositions, max_positions));
  return static_cast<uint32_t>(value);
}

Status read_llama3(const JsonObject& scaling, RopeConfig& rope) {
  TSR_ASSIGN_OR_RETURN(rope.low_freq_factor,
                       positive(scaling, "low_freq_factor", kMaxFactor));
  TSR_ASSIGN_OR_RETURN(rope.high_freq_factor,
                       positive(scaling, "high_freq_factor", kMaxFactor));
  if (rope.low_freq_factor >= rope.high_freq_factor) {
    return scaling.error(
        "low_freq_factor",
        fmt::format("is {}, expected less than "
                    "high_freq_factor={}",
                    rope.low_freq_factor, rope.high_freq_factor));
  }
  return {};
}

Status read_yarn(const JsonObject& scaling, RopeConfig& rope) {
  TSR_ASSIGN_OR_RETURN(rope.beta_fast,
                       positive(scaling, "beta_fast", kMaxFactor, 32.0));
  TSR_ASSIGN_OR_RETURN(rope.beta_slow,
                       positive(scaling, "beta_slow", kMaxFactor, 1.0));
  TSR_ASSIGN_OR_RETURN(rope.truncate, scaling.boolean("truncate", true));
  if (scaling.find("attention_factor") != nullptr) {
    TSR_ASSIGN_OR_RETURN(rope.attention_factor,
                         positive(scaling, "attention_factor", kMaxFactor));
  }
  if (scaling.find("mscale") != nullptr &&
      scaling.find("mscale_all_dim") != nullptr) {
    TSR_ASSIGN_OR_RETURN(rope.mscale, scaling.number("mscale"));
    TSR_ASSIGN_OR_RETURN(rope.mscale_all_dim, scaling.number("mscale_all_dim"));
    if (std::abs(rope.mscale) > kMaxFactor ||
        std::abs(rope.mscale_all_dim) > kMaxFactor) {
      return scaling.error("mscale", "or mscale_all_dim is out of range");
    }
  }
  return {};
}

}  // namespace

Result<RopeConfig> read_rope_config(const JsonObject& config,
                                    uint32_t max_positions) {
  RopeConfig rope;
  TSR_ASSIGN_OR_RETURN(rope.theta,
                       positive(config, "rope_theta", kMaxTheta, rope.theta));
  TSR_RETURN_IF_ERROR(check_full_rotation(config));

  const char* key = "rope_scaling";
  if (config.find(key) == nullptr) key = "rope_parameters";
  if (config.find(key) == nullptr) return rope;
  TSR_ASSIGN_OR_RETURN(const JsonObject scaling, config.object(key));
  TSR_RETURN_IF_ERROR(check_full_rotation(scaling));
  TSR_ASSIGN_OR_RETURN(rope.theta,
                       positive(scaling, "rope_theta", kMaxTheta, rope.theta));
  TSR_ASSIGN_OR_RETURN(rope.type, read_type(scaling));
  if (rope.type == RopeType::kDefault) return rope;

  std::optional<double> factor;
  if (rope.type == RopeType::kLlama3 || rope.type == RopeType::kYarn) {
    TSR_ASSIGN_OR_RETURN(rope.original_max_positions,
                         read_original_max(config, scaling, max_positions));
  }
  if (rope.type == RopeType::kYarn) {
    factor = static_cast<double>(max_positions) / rope.original_max_positions;
  }
  TSR_ASSIGN_OR_RETURN(rope.factor,
                       positive(scaling, "factor", kMaxFactor, factor));
  if (rope.type == RopeType::kLlama3) {
    TSR_RETURN_IF_ERROR(read_llama3(scaling, rope));
  }
  if (rope.type == RopeType::kYarn) {
    TSR_RETURN_IF_ERROR(read_yarn(scaling, rope));
  }
  return rope;
}

}  // namespace tessera
