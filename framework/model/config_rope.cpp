// SPDX-License-Identifier: Apache-2.0

#include "framework/model/config_rope.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

namespace tessera {
namespace {

constexpr JsonObject::Bounds kPositions{1, 1 << 28};

struct Range {
  double min;
  double max;
};
constexpr Range kTheta{1.001, 1e15};  // yarn divides by its logarithm
constexpr Range kFactor{1e-6, 1e6};
constexpr Range kMscale{0.0, 1e6};

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

// A number in `range`; comparisons are false for NaN.
Result<double> bounded(const JsonObject& object, const std::string& key,
                       Range range, std::optional<double> fallback = {}) {
  TSR_ASSIGN_OR_RETURN(const double value, object.number(key, fallback));
  if (!(value >= range.min && value <= range.max)) {
    return object.error(key, fmt::format("is {}, expected {} to {}", value,
                                         range.min, range.max));
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
                       bounded(scaling, "low_freq_factor", kFactor));
  TSR_ASSIGN_OR_RETURN(rope.high_freq_factor,
                       bounded(scaling, "high_freq_factor", kFactor));
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
                       bounded(scaling, "beta_fast", kFactor, 32.0));
  TSR_ASSIGN_OR_RETURN(rope.beta_slow,
                       bounded(scaling, "beta_slow", kFactor, 1.0));
  TSR_ASSIGN_OR_RETURN(rope.truncate, scaling.boolean("truncate", true));
  if (scaling.find("attention_factor") != nullptr) {
    TSR_ASSIGN_OR_RETURN(rope.attention_factor,
                         bounded(scaling, "attention_factor", kFactor));
  }
  if (scaling.find("mscale") != nullptr &&
      scaling.find("mscale_all_dim") != nullptr) {
    TSR_ASSIGN_OR_RETURN(rope.mscale, bounded(scaling, "mscale", kMscale));
    TSR_ASSIGN_OR_RETURN(rope.mscale_all_dim,
                         bounded(scaling, "mscale_all_dim", kMscale));
  }
  return {};
}

}  // namespace

Result<RopeConfig> read_rope_config(const JsonObject& config,
                                    uint32_t max_positions) {
  RopeConfig rope;
  TSR_ASSIGN_OR_RETURN(rope.theta,
                       bounded(config, "rope_theta", kTheta, rope.theta));
  TSR_RETURN_IF_ERROR(check_full_rotation(config));

  const char* key = "rope_scaling";
  if (config.find(key) == nullptr) key = "rope_parameters";
  if (config.find(key) == nullptr) return rope;
  TSR_ASSIGN_OR_RETURN(const JsonObject scaling, config.object(key));
  for (const char* layers : {"full_attention", "sliding_attention"}) {
    if (scaling.find(layers) == nullptr) continue;
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: {}: other frequencies for some layers are "
                              "not supported",
                              scaling.where(), layers));
  }
  TSR_RETURN_IF_ERROR(check_full_rotation(scaling));
  TSR_ASSIGN_OR_RETURN(rope.theta,
                       bounded(scaling, "rope_theta", kTheta, rope.theta));
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
                       bounded(scaling, "factor", kFactor, factor));
  if (rope.type == RopeType::kLlama3) {
    TSR_RETURN_IF_ERROR(read_llama3(scaling, rope));
  }
  if (rope.type == RopeType::kYarn) {
    TSR_RETURN_IF_ERROR(read_yarn(scaling, rope));
  }
  return rope;
}

}  // namespace tessera
