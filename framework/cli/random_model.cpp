// SPDX-License-Identifier: Apache-2.0
//
// Source  config.json of Qwen/Qwen3-0.6B to -32B and meta-llama/Llama-3.1-8B,
//         -70B

#include "framework/cli/random_model.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "framework/bench/model_shapes.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/session/default_model.hpp"

namespace tessera::cli {
namespace {

using Bytes = std::vector<std::byte>;

void add_qwen3(const bench::ModelShape& shape, ModelConfig& config) {
  config.architecture = "Qwen3ForCausalLM";
  config.model_type = "qwen3";
  config.family = ModelFamily::kQwen3;
  config.max_positions = 40960;
  config.rms_eps = 1e-6f;
  config.rope.theta = 1e6;
  config.qk_norm = true;
  // Up to 4B they save the head.
  config.tie_word_embeddings = shape.hidden_size <= 2560;
}

void add_llama3(ModelConfig& config) {
  config.architecture = "LlamaForCausalLM";
  config.model_type = "llama";
  config.family = ModelFamily::kLlama;
  config.max_positions = 131072;
  config.rms_eps = 1e-5f;
  config.rope.type = RopeType::kLlama3;
  config.rope.theta = 5e5;
  config.rope.factor = 8.0;
  config.rope.original_max_positions = 8192;
}

ModelConfig config_of(const bench::ModelShape& shape) {
  ModelConfig config;
  config.hidden_size = static_cast<uint32_t>(shape.hidden_size);
  config.intermediate_size = static_cast<uint32_t>(shape.intermediate_size);
  config.num_layers = static_cast<uint32_t>(shape.num_layers);
  config.num_q_heads = static_cast<uint32_t>(shape.num_q_heads);
  config.num_kv_heads = static_cast<uint32_t>(shape.num_kv_heads);
  config.head_dim = static_cast<uint32_t>(shape.head_dim);
  config.vocab_size = static_cast<uint32_t>(shape.vocab_size);
  config.layer_windows.assign(config.num_layers, 0);
  config.torch_dtype = "bfloat16";
  if (shape.name.starts_with("qwen3")) {
    add_qwen3(shape, config);
  } else {
    add_llama3(config);
  }
  return config;
}

uint16_t bf16_of(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

// Values of the size that weights have, of which larger tensors are made.
std::vector<uint16_t> random_block() {
  constexpr size_t kBlock = 1U << 20;
  std::mt19937 random(42);
  std::uniform_real_distribution<float> weight(-0.05f, 0.05f);
  std::vector<uint16_t> block(kBlock);
  for (uint16_t& value : block) value = bf16_of(weight(random));
  return block;
}

// Norms are ones, all else is random.
std::shared_ptr<const Bytes> make_tensor(const std::vector<uint64_t>& shape,
                                         const std::vector<uint16_t>& block) {
  uint64_t count = 1;
  for (const uint64_t size : shape) count *= size;
  const std::vector<uint16_t> ones(shape.size() == 1 ? count : 0,
                                   bf16_of(1.0f));
  const std::vector<uint16_t>& pattern = ones.empty() ? block : ones;
  auto bytes = std::make_shared<Bytes>(count * sizeof(uint16_t));
  for (size_t at = 0; at < bytes->size();) {
    const size_t size =
        std::min(bytes->size() - at, pattern.size() * sizeof(uint16_t));
    std::memcpy(bytes->data() + at, pattern.data(), size);
    at += size;
  }
  return bytes;
}

WeightSource random_source(const ModelConfig& config) {
  auto shapes =
      std::make_shared<std::map<std::string, std::vector<uint64_t>>>();
  for (TensorSpec& spec : required_tensors(config)) {
    shapes->emplace(std::move(spec.name), std::move(spec.shape));
  }
  auto block = std::make_shared<const std::vector<uint16_t>>(random_block());
  WeightSource source;
  source.tensor = [shapes,
                   block](const std::string& name) -> Result<SourceTensor> {
    const auto found = shapes->find(name);
    if (found == shapes->end()) {
      return Status(TSR_NOT_FOUND, name + ": no such tensor");
    }
    SourceTensor tensor;
    tensor.dtype = TSR_BF16;
    tensor.shape = found->second;
    tensor.owner = make_tensor(tensor.shape, *block);
    tensor.bytes = *tensor.owner;
    return tensor;
  };
  return source;
}

}  // namespace

Result<LoadedModel> random_model(const std::string& preset) {
  TSR_ASSIGN_OR_RETURN(const bench::ModelShape shape,
                       bench::find_model_shape(preset));
  TSR_ASSIGN_OR_RETURN(const std::string folder, default_model_folder());
  TSR_ASSIGN_OR_RETURN(Model model, open_model(folder));
  model.config = config_of(shape);
  model.folder = preset;
  model.source = random_source(model.config);
  model.totals = {};
  LoadedModel loaded;
  loaded.model = std::make_unique<const Model>(std::move(model));
  loaded.source = loaded.model->source;
  return loaded;
}

CLI::Option* add_preset_option(CLI::App& command, std::string& preset) {
  return command
      .add_option("--preset", preset,
                  "A model of this shape with random weights, without its "
                  "files: qwen3-0.6b, 1.7b, 4b, 8b, 14b, 32b, llama3.1-8b, 70b")
      ->type_name("NAME")
      ->excludes("MODEL");
}

}  // namespace tessera::cli
