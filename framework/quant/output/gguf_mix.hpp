// SPDX-License-Identifier: Apache-2.0
//
// Which GGUF type each matrix of a model gets, by the rules of llama.cpp's
// quantizer, so that a file has what people expect under its name.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/config.hpp"
#include "framework/quant/fallback/fallback.hpp"

namespace tessera::quant {

struct GgufMix {
  std::string name;        // "q4_k_m"
  uint32_t file_type = 0;  // general.file_type
  uint32_t format = 0;     // TSR_WEIGHT_* of what no rule raises
};

// A scheme with a GGUF type of its own (q4_0 ... q6_k, mxfp4, nvfp4, f32,
// w16a16, bf16), or one of the mixes q4_k_s, q4_k_m, q5_k_s and q5_k_m.
//
// Errors  INVALID_ARGUMENT, naming them
// Source  llama.cpp, include/llama.h, enum llama_ftype
Result<GgufMix> find_gguf_mix(std::string_view name);

std::vector<std::string> gguf_mix_names();

// Rules for the block linears: v_proj and down_proj of some layers get more
// bits, and rows that the blocks do not divide another type or, if none of 32
// fits, floats.  A disabled linear stays disabled.
//
// Source  llama.cpp, src/llama-quant.cpp, llama_tensor_get_type_impl and
//         tensor_type_fallback
void add_gguf_rules(const GgufMix& mix, const ModelConfig& config,
                    bool with_importance, SchemeRules& rules);

// TSR_WEIGHT_* of the head; also of the embedding if it is the head.  0: as in
// the file.
uint32_t gguf_head_format(const GgufMix& mix, const ModelConfig& config);

// TSR_WEIGHT_* of an embedding that is not the head.  0: as in the file.
uint32_t gguf_embedding_format(const GgufMix& mix, const ModelConfig& config);

}  // namespace tessera::quant
