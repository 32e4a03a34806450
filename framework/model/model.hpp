// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face model folder, opened and checked.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/model/checkpoint.hpp"
#include "framework/model/config.hpp"
#include "framework/model/tokenizer.hpp"

namespace tessera {

struct Model {
  ModelConfig config;
  Checkpoint checkpoint;
  Tokenizer tokenizer;
  std::string folder;
};

// Opens `folder`: config.json, the checkpoint and tokenizer.json.  Weights are
// mapped, not read.
//
// Errors  those of read_config(), Checkpoint::open() and Tokenizer::load()
//         those of check_tensors()
//         INVALID_ARGUMENT if the tokenizer has ids beyond vocab_size
Result<Model> open_model(const std::string& folder);

// Whether the checkpoint has every tensor of required_tensors() in f32, f16 or
// bf16.  Others are ignored.
//
// Errors  NOT_FOUND, naming the tensor, if one is missing
//         INVALID_ARGUMENT, with both shapes, if one has another shape
//         UNIMPLEMENTED if one has another type
Status check_tensors(const ModelConfig& config, const Checkpoint& checkpoint);

}  // namespace tessera
