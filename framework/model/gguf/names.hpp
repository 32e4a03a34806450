// SPDX-License-Identifier: Apache-2.0
//
// What GGUF files call the tensors of a model, and the order in which they
// have the rows of q and k.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "framework/model/config.hpp"

namespace tessera {

struct GgufName {
  std::string name;  // "blk.3.attn_q.weight"
  // Heads whose rows are in the order of interleaved RoPE; 0: rows as here.
  uint32_t interleaved_heads = 0;
};

// GGUF's names by those of layer_tensor_names(), for every tensor that such a
// model may have.
std::map<std::string, GgufName> gguf_names(const ModelConfig& config);

// Where row r of the file comes from, for r in [0, rows): the file pairs
// dimension i of a head with i + 1, Hugging Face with i + head_dim / 2.
//
// Requires  rows is a multiple of 2 * heads
// Source    llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute
std::vector<uint32_t> interleaved_rows(uint32_t rows, uint32_t heads);

}  // namespace tessera
