// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/outliers/rotated_model.hpp"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "framework/quant/algebra/hadamard.hpp"
#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/outliers/rotate.hpp"

namespace tessera::quant {
namespace {

SourceTensor own(const std::vector<float>& values,
                 std::vector<uint64_t> shape) {
  const auto bytes = std::as_bytes(std::span(values));
  SourceTensor tensor;
  tensor.dtype = TSR_F32;
  tensor.shape = std::move(shape);
  auto owner = std::make_shared<const std::vector<std::byte>>(bytes.begin(),
                                                              bytes.end());
  tensor.bytes = *owner;
  tensor.owner = std::move(owner);
  return tensor;
}

class Rotator {
 public:
  Rotator(const ModelConfig& config, const WeightSource& base,
          Rotation residual, Rotation values, const ParallelFor& run)
      : config_(config),
        base_(base),
        residual_(std::move(residual)),
        values_(std::move(values)),
        run_(run) {
    for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
      const LayerTensorNames names = layer_tensor_names(layer);
      layers_[names.attention_norm] = layer;
      layers_[names.mlp_norm] = layer;
      for (const BlockPart& part : block_parts()) {
        layers_[names.*part.weight] = layer;
        layers_[names.*part.bias] = layer;
      }
    }
  }

  Result<SourceTensor> tensor(const std::string& name) {
    if (name == kEmbeddingName) return embedding();
    if (name == kHeadName) return head();
    if (name == kFinalNormName) {
      return own(std::vector<float>(config_.hidden_size, 1.0f),
                 {config_.hidden_size});
    }
    const auto layer = layers_.find(name);
    if (layer == layers_.end()) return base_.tensor(name);
    TSR_RETURN_IF_ERROR(turn(layer->second));
    TSR_ASSIGN_OR_RETURN(
        SourceTensor turned,
        block_source(base_, *block_, layer->second).tensor(name));
    // The block goes when the next one comes.
    turned.owner = std::make_shared<const std::vector<std::byte>>(
        turned.bytes.begin(), turned.bytes.end());
    turned.bytes = *turned.owner;
    return turned;
  }

 private:
  uint64_t vocabulary_elements() const {
    return uint64_t{config_.vocab_size} * config_.hidden_size;
  }

  Result<SourceTensor> embedding() {
    TSR_ASSIGN_OR_RETURN(
        std::vector<float> table,
        read_values(base_, kEmbeddingName, vocabulary_elements()));
    rotate_inputs(residual_, table, run_);
    return own(table, {config_.vocab_size, config_.hidden_size});
  }

  Result<SourceTensor> head() {
    FloatLinear head{config_.vocab_size, config_.hidden_size, {}, {}};
    TSR_ASSIGN_OR_RETURN(
        head.weight,
        read_values(base_,
                    config_.tie_word_embeddings ? kEmbeddingName : kHeadName,
                    vocabulary_elements()));
    TSR_ASSIGN_OR_RETURN(
        std::vector<float> norm,
        read_values(base_, kFinalNormName, config_.hidden_size));
    FloatLinear* const behind[] = {&head};
    fuse_norm(norm, behind);
    rotate_inputs(residual_, head.weight, run_);
    return own(head.weight, {config_.vocab_size, config_.hidden_size});
  }

  Status turn(uint32_t layer) {
    if (block_ && layer == turned_) return {};
    TSR_ASSIGN_OR_RETURN(DecoderBlock block, read_block(config_, base_, layer));
    TSR_RETURN_IF_ERROR(rotate_residual(residual_, &block, run_));
    TSR_RETURN_IF_ERROR(rotate_values(values_, &block, run_));
    block_ = std::move(block);
    turned_ = layer;
    return {};
  }

  ModelConfig config_;  // the original's
  const WeightSource& base_;
  Rotation residual_;
  Rotation values_;
  ParallelFor run_;
  std::map<std::string, uint32_t> layers_;  // of each tensor
  std::optional<DecoderBlock> block_;       // of layer turned_
  uint32_t turned_ = 0;
};

}  // namespace

Result<RotatedModel> rotate_model(const ModelConfig& config,
                                  const WeightSource& base, uint32_t seed,
                                  const ParallelFor& run) {
  TSR_ASSIGN_OR_RETURN(Rotation residual,
                       Rotation::create(config.hidden_size, seed));
  TSR_ASSIGN_OR_RETURN(Rotation values,
                       Rotation::create(config.head_dim, seed + 1));
  auto rotator = std::make_shared<Rotator>(config, base, std::move(residual),
                                           std::move(values), run);
  RotatedModel model{config, {}};
  model.config.tie_word_embeddings = false;
  model.source.tensor =
      [rotator](const std::string& name) -> Result<SourceTensor> {
    return rotator->tensor(name);
  };
  return model;
}

}  // namespace tessera::quant
