// SPDX-License-Identifier: Apache-2.0
//
// The graph of a dense decoder: Llama, Mistral, Qwen2 and Qwen3 differ only in
// what their ModelConfig says.

#pragma once

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/model/config.hpp"

namespace tessera {

// The ops from token ids to logits for sequences of up to `max_context` tokens.
// Weights and constants carry their names in the checkpoint, those of
// tensor_names.hpp; a tied head names the embedding.
//
// Errors  INVALID_ARGUMENT if max_context is 0 or beyond config.max_positions
//         UNIMPLEMENTED if the activation function is not silu
Result<Graph> build_graph(const ModelConfig& config, uint32_t max_context);

}  // namespace tessera
