// SPDX-License-Identifier: Apache-2.0
//
// Hostile config.json, generation_config.json and shard index files.

#include <cmath>

#include "framework/model/checkpoint.hpp"
#include "framework/model/config.hpp"
#include "framework/model/rope.hpp"
#include "framework/model/tensor_names.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::promise;

void check(const tessera::ModelConfig& config) {
  promise(config.num_q_heads % config.num_kv_heads == 0, "heads divide");
  promise(config.head_dim % 2 == 0, "head_dim is even");
  promise(config.layer_windows.size() == config.num_layers, "windows fit");
  if (config.num_layers <= 64) {
    promise(!tessera::required_tensors(config).empty(), "tensors are named");
  }
  const tessera::RopeTable table = tessera::build_rope_table(config, 3);
  for (const float value : table.values) {
    promise(std::isfinite(value), "rope tables are finite");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = tessera::parse_config(text, "fuzz");
  if (config.ok()) {
    check(*config);
  } else {
    promise(!config.status().message().empty(), "errors explain");
  }
  tessera::ModelConfig other;
  const tessera::Status status =
      tessera::parse_generation_config(text, "fuzz", other);
  promise(status.ok() || !status.message().empty(), "errors explain");
  const auto index = tessera::parse_shard_index(text, "fuzz");
  if (index.ok()) {
    for (const auto& [tensor, shard] : *index) {
      promise(shard.find('/') == shard.npos, "shards stay in their folder");
    }
  }
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  const std::string sizes =
      R"("hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,)"
      R"("num_attention_heads":8,"num_key_value_heads":2,"vocab_size":100,)"
      R"("max_position_embeddings":128,"rms_norm_eps":1e-5,)";
  return {
      "{" + sizes +
          R"("model_type":"llama","architectures":["LlamaForCausalLM"],)"
          R"("rope_theta":5e5,"eos_token_id":[1,2],"rope_scaling":)"
          R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,)"
          R"("high_freq_factor":4.0,"original_max_position_embeddings":32}})",
      "{" + sizes +
          R"("model_type":"qwen2","use_sliding_window":true,)"
          R"("sliding_window":9,"max_window_layers":3,"eos_token_id":5,)"
          R"("rope_parameters":{"rope_type":"yarn","rope_theta":1e6,)"
          R"("factor":4.0,"mscale":1.0,"mscale_all_dim":0.5,"beta_fast":32}})",
      "{" + sizes +
          R"("model_type":"qwen3","head_dim":16,"hidden_act":"silu",)"
          R"("rope_scaling":{"type":"dynamic","factor":2},"dtype":"f32"})",
      "{" + sizes +
          R"("model_type":"mistral","sliding_window":null,)"
          R"("tie_word_embeddings":false,"bos_token_id":1})",
      R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})",
  };
}
