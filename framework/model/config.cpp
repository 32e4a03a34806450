// SPDX-License-Identifier: Apache-2.0

#include "framework/model/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/model/config_rope.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// Far above any model there is; products of two still fit 64 bits.
constexpr JsonObject::Bounds kWidth{1, 1 << 22};
constexpr JsonObject::Bounds kLayers{1, 1 << 14};
constexpr JsonObject::Bounds kHeads{1, 1 << 16};
constexpr JsonObject::Bounds kHeadDim{2, 1 << 14};
constexpr JsonObject::Bounds kVocab{1, 1 << 26};
constexpr JsonObject::Bounds kPositions{1, 1 << 28};
constexpr JsonObject::Bounds kTokenId{0, INT32_MAX};

constexpr uint32_t kMistralWindow = 4096;   // where config.json says nothing
constexpr uint32_t kQwen3HeadDim = 128;     // likewise
constexpr uint32_t kQwenWindowLayers = 28;  // likewise

struct KnownModel {
  const char* model_type;
  const char* architecture;
  ModelFamily family;
};

constexpr KnownModel kKnownModels[] = {
    {"llama", "LlamaForCausalLM", ModelFamily::kLlama},
    {"mistral", "MistralForCausalLM", ModelFamily::kLlama},
    {"qwen2", "Qwen2ForCausalLM", ModelFamily::kQwen2},
    {"qwen3", "Qwen3ForCausalLM", ModelFamily::kQwen3},
};

constexpr const char* kSupported =
    "supported are the dense models llama, mistral, qwen2 and qwen3 "
    "(LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, "
    "Qwen3ForCausalLM)";

struct KnownActivation {
  const char* name;
  Activation activation;
};

// Source: transformers, activations.py, ACT2FN.
constexpr KnownActivation kKnownActivations[] = {
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"gelu", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
};

Status unimplemented(const JsonObject& config, const std::string& problem) {
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("{}: {}", config.where(), problem));
}

Result<uint32_t> count(const JsonObject& object, const std::string& key,
                       JsonObject::Bounds bounds,
                       std::optional<int64_t> fallback = {}) {
  TSR_ASSIGN_OR_RETURN(const int64_t value,
                       object.integer(key, bounds, fallback));
  return static_cast<uint32_t>(value);
}

// The first architecture; empty if there is none.
Result<std::string> first_architecture(const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(const json* const list, config.array("architectures"));
  if (list == nullptr || list->empty()) return std::string();
  if (!list->front().is_string()) {
    return config.error("architectures", "holds something else than strings");
  }
  return list->front().get<std::string>();
}

// Mixtures of experts share names with dense models in some repositories, so
// the number of experts decides, whatever the model calls itself.
Status refuse_experts(const JsonObject& config, const std::string& found) {
  for (const char* key : {"num_local_experts", "num_experts",
                          "n_routed_experts", "moe_num_experts"}) {
    const json* const value = config.find(key);
    if (value != nullptr && *value != 0 && *value != 1) {
      return unimplemented(
          config, fmt::format("{} is a mixture of experts ({}={}); {}", found,
                              key, value->dump(-1, ' ', true), kSupported));
    }
  }
  if (found.find("moe") != found.npos || found.find("Moe") != found.npos ||
      found.find("ixtral") != found.npos) {
    return unimplemented(config, fmt::format("{} is a mixture of experts; {}",
                                             found, kSupported));
  }
  return {};
}

Status read_identity(const JsonObject& config, ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(model.model_type, config.string("model_type", ""));
  TSR_ASSIGN_OR_RETURN(model.architecture, first_architecture(config));
  const std::string found =
      fmt::format("model_type \"{}\" with architecture \"{}\"",
                  model.model_type, model.architecture);
  TSR_RETURN_IF_ERROR(refuse_experts(config, found));
  for (const KnownModel& known : kKnownModels) {
    const bool same_type =
        model.model_type.empty() || model.model_type == known.model_type;
    const bool same_architecture =
        model.architecture.empty() || model.architecture == known.architecture;
    const bool is_named =
        !model.model_type.empty() || !model.architecture.empty();
    if (same_type && same_architecture && is_named) {
      model.model_type = known.model_type;
      model.architecture = known.architecture;
      model.family = known.family;
      return {};
    }
  }
  return unimplemented(
      config, fmt::format("{} is not supported; {}", found, kSupported));
}

Status read_heads(const JsonObject& config, ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(model.num_q_heads,
                       count(config, "num_attention_heads", kHeads));
  TSR_ASSIGN_OR_RETURN(model.num_kv_heads, count(config, "num_key_value_heads",
                                                 kHeads, model.num_q_heads));
  if (model.num_q_heads % model.num_kv_heads != 0) {
    return config.error("num_attention_heads",
                        fmt::format("={} is not a multiple of "
                                    "num_key_value_heads={}",
                                    model.num_q_heads, model.num_kv_heads));
  }
  const bool is_given = config.find("head_dim") != nullptr;
  if (!is_given && model.family == ModelFamily::kQwen3) {
    model.head_dim = kQwen3HeadDim;
    return {};
  }
  if (!is_given && model.hidden_size % model.num_q_heads != 0) {
    return config.error("hidden_size",
                        fmt::format("={} is not a multiple of "
                                    "num_attention_heads={}, and there is no "
                                    "head_dim",
                                    model.hidden_size, model.num_q_heads));
  }
  const uint32_t quotient = model.hidden_size / model.num_q_heads;
  TSR_ASSIGN_OR_RETURN(model.head_dim,
                       count(config, "head_dim", kHeadDim, quotient));
  if (model.head_dim % 2 != 0) {
    return config.error(
        "head_dim",
        fmt::format("={} is odd; RoPE rotates pairs", model.head_dim));
  }
  return {};
}

Status read_sizes(const JsonObject& config, ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(model.hidden_size, count(config, "hidden_size", kWidth));
  TSR_ASSIGN_OR_RETURN(model.intermediate_size,
                       count(config, "intermediate_size", kWidth));
  TSR_ASSIGN_OR_RETURN(model.num_layers,
                       count(config, "num_hidden_layers", kLayers));
  TSR_ASSIGN_OR_RETURN(model.vocab_size, count(config, "vocab_size", kVocab));
  TSR_ASSIGN_OR_RETURN(model.max_positions,
                       count(config, "max_position_embeddings", kPositions));
  TSR_RETURN_IF_ERROR(read_heads(config, model));
  const uint64_t q_width = uint64_t{model.num_q_heads} * model.head_dim;
  if (q_width > static_cast<uint64_t>(kWidth.max)) {
    return config.error(
        "num_attention_heads",
        fmt::format("={} with head_dim={} is wider than {}", model.num_q_heads,
                    model.head_dim, kWidth.max));
  }
  return {};
}

Status read_activation(const JsonObject& config, ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(const std::string name,
                       config.string("hidden_act", "silu"));
  for (const KnownActivation& known : kKnownActivations) {
    if (name == known.name) {
      model.activation = known.activation;
      return {};
    }
  }
  return unimplemented(
      config, fmt::format("hidden_act={} is not supported; silu, gelu, "
                          "gelu_new, gelu_fast and gelu_pytorch_tanh are",
                          name));
}

Status read_numerics(const JsonObject& config, ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(const double eps, config.number("rms_norm_eps", 1e-6));
  if (!(eps >= 0.0 && eps < 1.0)) {
    return config.error("rms_norm_eps",
                        fmt::format("is {}, expected 0 to 1", eps));
  }
  model.rms_eps = static_cast<float>(eps);
  TSR_RETURN_IF_ERROR(read_activation(config, model));
  TSR_ASSIGN_OR_RETURN(model.rope,
                       read_rope_config(config, model.max_positions));
  TSR_ASSIGN_OR_RETURN(model.tie_word_embeddings,
                       config.boolean("tie_word_embeddings", false));
  const char* const dtype_key =
      config.find("dtype") != nullptr ? "dtype" : "torch_dtype";
  TSR_ASSIGN_OR_RETURN(model.torch_dtype, config.string(dtype_key, ""));
  return {};
}

// Source: transformers, models/{llama,mistral,qwen2,qwen3}/modeling_*.py.
Status read_biases(const JsonObject& config, ModelConfig& model) {
  if (model.family == ModelFamily::kQwen2) {
    model.qkv_bias = true;
    return {};
  }
  model.qk_norm = model.family == ModelFamily::kQwen3;
  if (model.model_type == "mistral") return {};
  TSR_ASSIGN_OR_RETURN(model.qkv_bias, config.boolean("attention_bias", false));
  model.o_bias = model.qkv_bias;
  if (model.family == ModelFamily::kLlama) {
    TSR_ASSIGN_OR_RETURN(model.mlp_bias, config.boolean("mlp_bias", false));
  }
  return {};
}

// layer_types: "full_attention" or "sliding_attention" for each layer.
Status read_layer_types(const JsonObject& config, const json& types,
                        uint32_t window, ModelConfig& model) {
  if (types.size() != model.num_layers) {
    return config.error(
        "layer_types", fmt::format("has {} entries for {} layers", types.size(),
                                   model.num_layers));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "sliding_attention") {
      model.layer_windows[i] = window;
    } else if (types[i] != "full_attention") {
      return unimplemented(
          config, fmt::format("layer_types holds {}; full_attention and "
                              "sliding_attention are supported",
                              types[i].dump(-1, ' ', true)));
    }
  }
  return {};
}

Status read_windows(const JsonObject& config, ModelConfig& model) {
  model.layer_windows.assign(model.num_layers, 0);
  if (model.model_type == "llama") return {};
  if (model.model_type == "mistral") {
    if (config.contains("sliding_window") && !config.find("sliding_window")) {
      return {};
    }
    TSR_ASSIGN_OR_RETURN(
        const uint32_t window,
        count(config, "sliding_window", kPositions, kMistralWindow));
    model.layer_windows.assign(model.num_layers, window);
    return {};
  }
  TSR_ASSIGN_OR_RETURN(const bool is_used,
                       config.boolean("use_sliding_window", false));
  if (!is_used || config.find("sliding_window") == nullptr) return {};
  TSR_ASSIGN_OR_RETURN(const uint32_t window,
                       count(config, "sliding_window", kPositions));
  TSR_ASSIGN_OR_RETURN(const json* const types, config.array("layer_types"));
  if (types != nullptr) {
    return read_layer_types(config, *types, window, model);
  }
  TSR_ASSIGN_OR_RETURN(
      const uint32_t first,
      count(config, "max_window_layers", {0, kLayers.max}, kQwenWindowLayers));
  for (uint32_t i = first; i < model.num_layers; ++i) {
    model.layer_windows[i] = window;
  }
  return {};
}

Status add_id(const JsonObject& config, const json& value,
              std::vector<int32_t>& ids) {
  if (!value.is_number_integer()) {
    return config.error("eos_token_id", "holds something else than ids");
  }
  // A value beyond i64 is unsigned in the document and would wrap below zero.
  const auto id = value.get<int64_t>();
  if (id < kTokenId.min || id > kTokenId.max) {
    return config.error(
        "eos_token_id",
        fmt::format("holds {}, expected 0 to {}", value.dump(), kTokenId.max));
  }
  ids.push_back(static_cast<int32_t>(id));
  return {};
}

Status read_token_ids(const JsonObject& config, ModelConfig& model) {
  if (config.find("bos_token_id") != nullptr) {
    TSR_ASSIGN_OR_RETURN(const int64_t id,
                         config.integer("bos_token_id", kTokenId));
    model.bos_id = static_cast<int32_t>(id);
  }
  const json* const eos = config.find("eos_token_id");
  if (eos == nullptr) return {};
  if (eos->is_array()) {
    for (const json& id : *eos) {
      TSR_RETURN_IF_ERROR(add_id(config, id, model.eos_ids));
    }
  } else {
    TSR_RETURN_IF_ERROR(add_id(config, *eos, model.eos_ids));
  }
  std::vector<int32_t>& ids = model.eos_ids;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return {};
}

Result<ModelConfig> read_model(const json& document,
                               const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const JsonObject config,
                       JsonObject::from(document, source));
  ModelConfig model;
  TSR_RETURN_IF_ERROR(read_identity(config, model));
  TSR_RETURN_IF_ERROR(read_sizes(config, model));
  TSR_RETURN_IF_ERROR(read_numerics(config, model));
  TSR_RETURN_IF_ERROR(read_biases(config, model));
  TSR_RETURN_IF_ERROR(read_windows(config, model));
  TSR_RETURN_IF_ERROR(read_token_ids(config, model));
  return model;
}

Status read_generation(const json& document, const std::string& source,
                       ModelConfig& model) {
  TSR_ASSIGN_OR_RETURN(const JsonObject config,
                       JsonObject::from(document, source));
  return read_token_ids(config, model);
}

}  // namespace

Result<ModelConfig> parse_config(std::string_view text,
                                 const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const json document, parse_json(text, source));
  return read_model(document, source);
}

Status parse_generation_config(std::string_view text, const std::string& source,
                               ModelConfig& config) {
  TSR_ASSIGN_OR_RETURN(const json document, parse_json(text, source));
  return read_generation(document, source, config);
}

Result<ModelConfig> read_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  TSR_ASSIGN_OR_RETURN(const json document, read_json(path));
  TSR_ASSIGN_OR_RETURN(ModelConfig config, read_model(document, path));

  const std::string generation = folder + "/generation_config.json";
  std::error_code code;
  if (std::filesystem::exists(generation, code)) {
    TSR_ASSIGN_OR_RETURN(const json extra, read_json(generation));
    TSR_RETURN_IF_ERROR(read_generation(extra, generation, config));
  }
  return config;
}

}  // namespace tessera
