// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "framework/model/gguf/model.hpp"

namespace tessera {
namespace {

using nlohmann::json;

const GgufTensor* find_tensor(const Gguf& file, std::string_view name) {
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// What Llama 3.1 and later were trained with; a GGUF file has only the divisor
// of each frequency that follows from it.
struct Llama3Rope {
  static constexpr double kLowFactor = 1.0;
  static constexpr double kHighFactor = 4.0;
  static constexpr double kPositions = 8192.0;

  // Source: transformers, modeling_rope_utils.py,
  // _compute_llama3_parameters.
  static double divisor(double wavelength, double factor) {
    if (wavelength < kPositions / kHighFactor) return 1.0;
    if (wavelength > kPositions / kLowFactor) return factor;
    const double smooth =
        (kPositions / wavelength - kLowFactor) / (kHighFactor - kLowFactor);
    return 1.0 / ((1.0 - smooth) / factor + smooth);
  }
};

Result<json> rope_of_divisors(const Gguf& file, const GgufTensor& tensor,
                              double theta) {
  const auto refuse = [&file] {
    return Status(TSR_UNIMPLEMENTED,
                  file.source() +
                      ": rope_freqs.weight is not that of Llama 3; other "
                      "frequency tables are not supported");
  };
  if (tensor.type->dtype != TSR_F32 || tensor.shape.size() != 1 ||
      tensor.data.empty()) {
    return refuse();
  }
  std::vector<float> divisors(tensor.data.size() / sizeof(float));
  std::memcpy(divisors.data(), tensor.data.data(), tensor.data.size());
  const double factor = *std::max_element(divisors.begin(), divisors.end());
  const auto count = static_cast<double>(divisors.size());
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double wavelength = 2.0 * std::numbers::pi *
                              std::pow(theta, static_cast<double>(i) / count);
    const double expected = Llama3Rope::divisor(wavelength, factor);
    // The table is f32; its powers were taken in f32 too.
    if (!(std::fabs(divisors[i] - expected) <= 1e-3 * expected)) {
      return refuse();
    }
  }
  return json{{"rope_type", "llama3"},
              {"factor", factor},
              {"low_freq_factor", Llama3Rope::kLowFactor},
              {"high_freq_factor", Llama3Rope::kHighFactor},
              {"original_max_position_embeddings",
               static_cast<int64_t>(Llama3Rope::kPositions)}};
}

Status add_rope(const Gguf& file, const std::string& arch, int64_t head_dim,
                json& config) {
  const std::string prefix = arch + ".rope.";
  TSR_ASSIGN_OR_RETURN(const double theta,
                       file.number(prefix + "freq_base", 10000.0));
  config["rope_theta"] = theta;
  TSR_ASSIGN_OR_RETURN(const int64_t rotated,
                       file.integer(prefix + "dimension_count", head_dim));
  if (rotated != head_dim) {
    return {TSR_UNIMPLEMENTED,
            fmt::format("{}: {}dimension_count={} of a head_dim of {}; only "
                        "whole heads are supported",
                        file.source(), prefix, rotated, head_dim)};
  }
  if (const GgufTensor* divisors = find_tensor(file, "rope_freqs.weight")) {
    TSR_ASSIGN_OR_RETURN(config["rope_scaling"],
                         rope_of_divisors(file, *divisors, theta));
    return {};
  }
  TSR_ASSIGN_OR_RETURN(const std::string type,
                       file.string(prefix + "scaling.type", "none"));
  TSR_ASSIGN_OR_RETURN(const double old_scale,
                       file.number(prefix + "scale_linear", 1.0));
  TSR_ASSIGN_OR_RETURN(const double factor,
                       file.number(prefix + "scaling.factor", old_scale));
  if (type == "none" && factor == 1.0) return {};
  json scaling{{"rope_type", type == "none" ? "linear" : type},
               {"factor", factor}};
  TSR_ASSIGN_OR_RETURN(
      const int64_t original,
      file.integer(prefix + "scaling.original_context_length", 0));
  if (original > 0) scaling["original_max_position_embeddings"] = original;
  for (const char* beta : {"beta_fast", "beta_slow"}) {
    const std::string key = prefix + "scaling.yarn_" + beta;
    if (type != "yarn" || file.find(key) == nullptr) continue;
    TSR_ASSIGN_OR_RETURN(scaling[beta], file.number(key));
  }
  config["rope_scaling"] = std::move(scaling);
  return {};
}

Status add_sizes(const Gguf& file, const std::string& arch, json& config) {
  const std::string prefix = arch + ".";
  struct Size {
    const char* key;
    const char* name;
  };
  for (const Size& size :
       {Size{"embedding_length", "hidden_size"},
        Size{"feed_forward_length", "intermediate_size"},
        Size{"block_count", "num_hidden_layers"},
        Size{"context_length", "max_position_embeddings"},
        Size{"attention.head_count", "num_attention_heads"}}) {
    TSR_ASSIGN_OR_RETURN(const int64_t value, file.integer(prefix + size.key));
    if (value <= 0) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("{}: {}{} is {}, expected a count", file.source(),
                          prefix, size.key, value)};
    }
    config[size.name] = value;
  }
  const int64_t heads = config["num_attention_heads"];
  TSR_ASSIGN_OR_RETURN(config["num_key_value_heads"],
                       file.integer(prefix + "attention.head_count_kv", heads));
  const int64_t hidden = config["hidden_size"];
  TSR_ASSIGN_OR_RETURN(
      const int64_t head_dim,
      file.integer(prefix + "attention.key_length", hidden / heads));
  TSR_ASSIGN_OR_RETURN(
      const int64_t value_dim,
      file.integer(prefix + "attention.value_length", head_dim));
  if (value_dim != head_dim) {
    return {TSR_UNIMPLEMENTED,
            fmt::format("{}: key_length={} and value_length={} differ",
                        file.source(), head_dim, value_dim)};
  }
  config["head_dim"] = head_dim;
  const GgufTensor* const embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return {TSR_NOT_FOUND, file.source() + ": no matrix token_embd.weight"};
  }
  config["vocab_size"] = embedding->shape[0];
  return add_rope(file, arch, head_dim, config);
}

Status add_token_ids(const Gguf& file, json& config) {
  const std::string prefix = "tokenizer.ggml.";
  TSR_ASSIGN_OR_RETURN(const int64_t bos,
                       file.integer(prefix + "bos_token_id", -1));
  if (bos >= 0) config["bos_token_id"] = bos;
  json ends = json::array();
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    TSR_ASSIGN_OR_RETURN(const int64_t id, file.integer(prefix + key, -1));
    if (id >= 0) ends.push_back(id);
  }
  if (!ends.empty()) config["eos_token_id"] = std::move(ends);
  return {};
}

}  // namespace

Result<json> gguf_config(const Gguf& file) {
  TSR_ASSIGN_OR_RETURN(const std::string arch,
                       file.string("general.architecture"));
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3") {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: architecture {} is not supported; llama, "
                              "qwen2 and qwen3 are",
                              file.source(), arch));
  }
  json config{{"model_type", arch}, {"hidden_act", "silu"}};
  TSR_RETURN_IF_ERROR(add_sizes(file, arch, config));
  TSR_ASSIGN_OR_RETURN(config["rms_norm_eps"],
                       file.number(arch + ".attention.layer_norm_rms_epsilon"));
  TSR_ASSIGN_OR_RETURN(const int64_t experts,
                       file.integer(arch + ".expert_count", 0));
  if (experts > 0) config["num_local_experts"] = experts;
  TSR_ASSIGN_OR_RETURN(const int64_t window,
                       file.integer(arch + ".attention.sliding_window", 0));
  if (window > 0) {
    config["sliding_window"] = window;
    if (arch == "llama") config["model_type"] = "mistral";
  }
  config["tie_word_embeddings"] = find_tensor(file, "output.weight") == nullptr;
  config["attention_bias"] = find_tensor(file, "blk.0.attn_q.bias") != nullptr;
  config["mlp_bias"] = find_tensor(file, "blk.0.ffn_up.bias") != nullptr;
  TSR_RETURN_IF_ERROR(add_token_ids(file, config));
  return config;
}

}  // namespace tessera
