// SPDX-License-Identifier: Apache-2.0
//
// What a model is made of, read from the config.json of a Hugging Face folder.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// Dense decoders that differ only in what ModelConfig says.
enum class ModelFamily {
  kLlama,  // Mistral too: a Llama with a sliding window
  kQwen2,
  kQwen3,
};

enum class Activation {
  kSilu,
  kGelu,      // x * Phi(x), exact
  kGeluTanh,  // its tanh approximation
};

enum class RopeType { kDefault, kLinear, kDynamic, kLlama3, kYarn };

// How the RoPE frequencies are scaled; fields of other types keep their
// defaults.  The keys of config.json have the same names.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                  // all types but kDefault
  uint32_t original_max_positions = 0;  // kLlama3, kYarn
  double low_freq_factor = 1.0;         // kLlama3
  double high_freq_factor = 4.0;        // kLlama3
  double beta_fast = 32.0;              // kYarn, as what follows
  double beta_slow = 1.0;
  std::optional<double> attention_factor;
  double mscale = 0.0;  // 0: not given
  double mscale_all_dim = 0.0;
  bool truncate = true;
};

struct ModelConfig {
  std::string architecture;  // "Qwen3ForCausalLM"
  std::string model_type;    // "qwen3"
  ModelFamily family = ModelFamily::kLlama;

  uint32_t hidden_size = 0;
  uint32_t intermediate_size = 0;
  uint32_t num_layers = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;  // divides num_q_heads
  uint32_t head_dim = 0;      // even
  uint32_t vocab_size = 0;
  uint32_t max_positions = 0;

  float rms_eps = 0.0f;
  Activation activation = Activation::kSilu;
  RopeConfig rope;

  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMS norm over head_dim of q and k, before RoPE
  bool tie_word_embeddings = false;

  // One per layer: a token sees itself and the window - 1 tokens before it;
  // 0: all.
  std::vector<uint32_t> layer_windows;

  std::optional<int32_t> bos_id;
  std::vector<int32_t> eos_ids;  // each of them ends a text; ascending
  std::string torch_dtype;       // "bfloat16"; empty if not given
};

// Reads `folder`/config.json and, if it is there, generation_config.json.
//
// Errors  NOT_FOUND if there is no config.json
//         INVALID_ARGUMENT, naming the key, if a value is missing, of another
//         type or out of range
//         UNIMPLEMENTED if the architecture, a mixture of experts, a
//         quantization, an activation or a RoPE type is not supported
Result<ModelConfig> read_config(const std::string& folder);

// The same from the text of a config.json.
Result<ModelConfig> parse_config(std::string_view text,
                                 const std::string& source);

// Adds the ids of a generation_config.json to those of `config`.
// Errors  INVALID_ARGUMENT as above.
Status parse_generation_config(std::string_view text, const std::string& source,
                               ModelConfig& config);

}  // namespace tessera
