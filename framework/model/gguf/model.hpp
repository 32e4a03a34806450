// SPDX-License-Identifier: Apache-2.0
//
// A GGUF file told in the words of a Hugging Face folder: its metadata as
// config.json and tokenizer.json, its tensors by their usual names.

#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/safetensors.hpp"

namespace tessera {

// What the config.json of the model would say.
// Errors  UNIMPLEMENTED for an architecture or RoPE that is not supported;
//         INVALID_ARGUMENT, naming the key, if one is missing or wrong
Result<nlohmann::json> gguf_config(const Gguf& file);

// What its tokenizer.json would say.
// Errors  UNIMPLEMENTED for a tokenizer or pre-tokenizer that is not supported;
//         INVALID_ARGUMENT, naming the key, if one is missing or wrong
Result<nlohmann::json> gguf_tokenizer(const Gguf& file);

// The tensors that a model of `num_layers` has, renamed; others are left out.
// Those of q and k of the architecture llama have rope_heads set.
// Requires: `file` outlives the views.
Result<std::vector<TensorView>> gguf_tensors(const Gguf& file,
                                             uint32_t num_layers);

}  // namespace tessera
