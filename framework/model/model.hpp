// SPDX-License-Identifier: Apache-2.0
//
// A model as it lies in files, opened and checked.

#pragma once

#include <cstdint>
#include <string>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/checkpoint.hpp"
#include "framework/model/config.hpp"
#include "framework/model/tokenizer/tokenizer.hpp"

namespace tessera {

// What the files of a model hold, each tensor once.
struct StoredTotals {
  uint64_t tensors = 0;
  uint64_t parameters = 0;
  uint64_t bytes = 0;
  uint32_t weight_format = 0;  // TSR_WEIGHT_* that most bytes of quantized
                               // weights are in; 0: there are none
};

struct Model {
  ModelConfig config;
  Tokenizer tokenizer;
  std::string folder;   // or the path of the GGUF file
  WeightSource source;  // keeps what it points into; a copy of it does too
  StoredTotals totals;
};

// Opens `folder`: config.json, the checkpoint and tokenizer.json.  Weights are
// mapped, not read.  A file instead of a folder is read as GGUF.
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
