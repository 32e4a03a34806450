// SPDX-License-Identifier: Apache-2.0
//
// A hash of everything a result depends on.  Structures are taken apart by
// structured bindings, which do not compile when a field is added.

#include "framework/quant/pipeline/fingerprint.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "framework/quant/block/block_parts.hpp"

namespace tessera::quant {
namespace {

// Bytes that are looked at in the middle of each tensor.
constexpr size_t kSampleBytes = 256;

// FNV-1a with 64 bits: for telling apart, not against forgery.
class Hash {
 public:
  void bytes(std::span<const std::byte> data) {
    for (const std::byte byte : data) {
      value_ = (value_ ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3U;
    }
  }

  template <typename T>
  std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>> add(T value) {
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void add(const std::string& text) {
    add(text.size());
    bytes(std::as_bytes(std::span(text)));
  }
  template <typename A, typename B>
  void add(const std::pair<A, B>& pair) {
    add(pair.first);
    add(pair.second);
  }
  template <typename T>
  void add(const std::optional<T>& value) {
    add(value.has_value());
    if (value) add(*value);
  }
  template <typename T>
  void add(const std::vector<T>& values) {
    add(values.size());
    for (const T& value : values) add(value);
  }
  template <typename K, typename V>
  void add(const std::map<K, V>& values) {
    add(values.size());
    for (const auto& value : values) add(value);
  }
  template <typename... T>
  void add_all(const T&... values) {
    (add(values), ...);
  }

  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  uint64_t value_ = 0xcbf29ce484222325U;
};

void add_rules(const SchemeRules& rules, Hash* hash) {
  const auto& [scheme, fallback, schemes, names, level] = rules;
  hash->add_all(scheme, fallback, schemes, names, level);
}

void add_clip(const ClipSearch& clip, Hash* hash) {
  const auto& [num_steps, smallest] = clip;
  hash->add_all(num_steps, smallest);
}

void add_gptq(const GptqOptions& gptq, Hash* hash) {
  const auto& [act_order, static_groups, damping, clip] = gptq;
  hash->add_all(act_order, static_groups, damping);
  add_clip(clip, hash);
}

void add_outliers(const OutlierOptions& outliers, Hash* hash) {
  const auto& [method, exponents, subgraphs] = outliers;
  const auto& [alpha, beta] = exponents;
  hash->add_all(method, alpha, beta, subgraphs);
}

void add_sparsity(const SparsityOptions& sparsity, Hash* hash) {
  const auto& [zero_fraction, protect, importance] = sparsity;
  const auto& [fraction, grid, rate_weight, scale_dtype] = protect;
  hash->add_all(zero_fraction, fraction, grid, rate_weight, scale_dtype,
                importance);
}

void add_recipe(const Recipe& recipe, Hash* hash) {
  const auto& [rules, metric, weights, gptq, clip, rotation_seed, outliers,
               sparsity, activations, search_rows] = recipe;
  const auto& [range_rule, codes, percentile] = activations;
  add_rules(rules, hash);
  hash->add_all(metric, weights, rotation_seed, search_rows, range_rule, codes,
                percentile);
  add_gptq(gptq, hash);
  add_clip(clip, hash);
  add_outliers(outliers, hash);
  add_sparsity(sparsity, hash);
}

// Errors are met again, and told, when the tensor is read.
void add_tensor(const WeightSource& source, const std::string& name,
                Hash* hash) {
  const auto found = source.tensor(name);
  if (!found.ok()) return;
  const std::span<const std::byte> bytes = found->bytes;
  hash->add_all(name, found->dtype, found->shape);
  const size_t middle = bytes.size() / 2;
  hash->bytes(
      bytes.subspan(middle, std::min(kSampleBytes, bytes.size() - middle)));
}

}  // namespace

std::string run_fingerprint(const QuantizeInputs& inputs,
                            const Recipe& recipe) {
  Hash hash;
  add_recipe(recipe, &hash);
  hash.add(inputs.texts);
  hash.add(inputs.device == nullptr ? std::string() : inputs.device->name());
  if (inputs.importance != nullptr) hash.add(*inputs.importance);
  const ModelConfig& config = inputs.config;
  hash.add_all(config.architecture, config.num_layers, config.num_q_heads,
               config.num_kv_heads, config.head_dim, config.rms_eps,
               config.rope.theta, config.layer_windows);
  for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
    const LayerTensorNames names = layer_tensor_names(layer);
    add_tensor(inputs.source, names.attention_norm, &hash);
    for (const BlockPart& part : block_parts()) {
      add_tensor(inputs.source, names.*part.weight, &hash);
    }
  }
  return hash.text();
}

}  // namespace tessera::quant
