// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/gguf_mix.hpp"

#include <fmt/format.h>

#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/gguf/gguf_fp4.hpp"
#include "framework/format/weight.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/quant/block/block_parts.hpp"

namespace tessera::quant {
namespace {

// clang-format off
constexpr struct {
  std::string_view name;
  uint32_t file_type;
  uint32_t format;
} kMixes[] = {
    {"f32",     0, TSR_WEIGHT_F32},
    {"w16a16",  1, TSR_WEIGHT_F16},
    {"bf16",   32, TSR_WEIGHT_BF16},
    {"q4_0",    2, TSR_WEIGHT_Q4_0},
    {"q4_1",    3, TSR_WEIGHT_Q4_1},
    {"q5_0",    8, TSR_WEIGHT_Q5_0},
    {"q5_1",    9, TSR_WEIGHT_Q5_1},
    {"q8_0",    7, TSR_WEIGHT_Q8_0},
    {"q4_k",   14, TSR_WEIGHT_Q4_K},
    {"q4_k_s", 14, TSR_WEIGHT_Q4_K},
    {"q4_k_m", 15, TSR_WEIGHT_Q4_K},
    {"q5_k",   16, TSR_WEIGHT_Q5_K},
    {"q5_k_s", 16, TSR_WEIGHT_Q5_K},
    {"q5_k_m", 17, TSR_WEIGHT_Q5_K},
    {"q6_k",   18, TSR_WEIGHT_Q6_K},
    {"mxfp4",  38, TSR_WEIGHT_MXFP4},
    {"nvfp4",  39, TSR_WEIGHT_NVFP4},
};
// clang-format on

uint32_t block_values(uint32_t format) {
  if (format == TSR_WEIGHT_MXFP4) return format::kGgufMxfp4Values;
  if (format == TSR_WEIGHT_NVFP4) return format::kGgufNvfp4Values;
  const format::GgufBlock* block = format::find_gguf_block(format);
  return block == nullptr ? 1 : block->values;
}

// What fits rows of K where `format` does not; 0: nothing.
uint32_t fit(uint32_t format, uint32_t K) {
  if (K % block_values(format) == 0) return format;
  uint32_t other = 0;
  if (format == TSR_WEIGHT_Q4_K) other = TSR_WEIGHT_Q5_0;
  if (format == TSR_WEIGHT_Q5_K) other = TSR_WEIGHT_Q5_1;
  if (format == TSR_WEIGHT_Q6_K) other = TSR_WEIGHT_Q8_0;
  return other != 0 && K % block_values(other) == 0 ? other : 0;
}

// The first and last eighth of the layers and every third between.
bool has_more_bits(uint32_t layer, uint32_t num_layers) {
  const uint32_t eighth = num_layers / 8;
  return layer < eighth || layer >= 7 * num_layers / 8 ||
         (layer - eighth) % 3 == 2;
}

uint32_t v_format(const GgufMix& mix, uint32_t layer, uint32_t num_layers) {
  const bool medium = mix.name.ends_with("_m");
  if (medium && has_more_bits(layer, num_layers)) return TSR_WEIGHT_Q6_K;
  if (mix.name == "q4_k_s" && layer < 4) return TSR_WEIGHT_Q5_K;
  return mix.format;
}

uint32_t down_format(const GgufMix& mix, uint32_t layer, uint32_t num_layers,
                     bool with_importance) {
  const bool medium = mix.name.ends_with("_m");
  if (medium && has_more_bits(layer, num_layers)) return TSR_WEIGHT_Q6_K;
  const bool early = layer < num_layers / 8;
  if (!early) return mix.format;
  if (mix.name == "q4_k_s") return TSR_WEIGHT_Q5_K;
  if (with_importance && mix.name == "q4_0") return TSR_WEIGHT_Q4_1;
  if (with_importance && mix.name == "q5_0") return TSR_WEIGHT_Q5_1;
  return mix.format;
}

std::string scheme_of(uint32_t format) {
  return format == 0 ? "float" : format::weight_format_name(format);
}

bool is_plain(uint32_t format) { return block_values(format) == 1; }

}  // namespace

Result<GgufMix> find_gguf_mix(std::string_view name) {
  for (const auto& row : kMixes) {
    if (row.name == name) {
      return GgufMix{std::string(name), row.file_type, row.format};
    }
  }
  std::string names;
  for (const std::string& known : gguf_mix_names()) names += " " + known;
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("{} has no GGUF type; these have:{}", name, names));
}

std::vector<std::string> gguf_mix_names() {
  std::vector<std::string> names;
  for (const auto& row : kMixes) names.emplace_back(row.name);
  return names;
}

void add_gguf_rules(const GgufMix& mix, const ModelConfig& config,
                    bool with_importance, SchemeRules& rules) {
  if (is_plain(mix.format)) return;
  for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
    const LayerTensorNames names = layer_tensor_names(layer);
    for (const BlockPart& part : block_parts()) {
      const std::string& tensor = names.*part.weight;
      uint32_t format = mix.format;
      uint32_t K = config.hidden_size;
      if (tensor == names.o_proj) K = config.num_q_heads * config.head_dim;
      if (tensor == names.v_proj) {
        format = v_format(mix, layer, config.num_layers);
      }
      if (tensor == names.down_proj) {
        K = config.intermediate_size;
        format = down_format(mix, layer, config.num_layers, with_importance);
      }
      const std::string scheme = scheme_of(fit(format, K));
      if (scheme == rules.default_scheme) continue;
      constexpr std::string_view kSuffix = ".weight";
      rules.schemes.emplace_back(
          tensor.substr(0, tensor.size() - kSuffix.size()), scheme);
    }
  }
}

uint32_t gguf_head_format(const GgufMix& mix, const ModelConfig& config) {
  if (is_plain(mix.format)) return mix.format;
  const uint32_t K = config.hidden_size;
  // llama.cpp has no rule for NVFP4, whose files come from others' floats.
  if (mix.format == TSR_WEIGHT_NVFP4) return 0;
  const bool eight_bits = mix.format == TSR_WEIGHT_Q8_0 ||
                          mix.format == TSR_WEIGHT_MXFP4 ||
                          K % block_values(mix.format) != 0;
  return fit(eight_bits ? TSR_WEIGHT_Q8_0 + 0U : TSR_WEIGHT_Q6_K + 0U, K);
}

uint32_t gguf_embedding_format(const GgufMix& mix, const ModelConfig& config) {
  if (is_plain(mix.format)) return mix.format;
  if (mix.format == TSR_WEIGHT_NVFP4) return 0;
  const bool is_mxfp4 = mix.format == TSR_WEIGHT_MXFP4;
  return fit(is_mxfp4 ? TSR_WEIGHT_Q8_0 + 0U : mix.format, config.hidden_size);
}

}  // namespace tessera::quant
