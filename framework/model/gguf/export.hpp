// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face model in the words of GGUF, so that other programs run it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/config.hpp"
#include "framework/model/gguf/writer.hpp"

namespace tessera {

// Everything before the tensors: general.*, the architecture's keys, and the
// tokenizer and chat template of `folder`.  `file_type` is GGUF's number of the
// weights' format.  Of the tensors, other programs want those with one axis in
// F32.
//
// Errors  those of reading the folder's JSON files
//         UNIMPLEMENTED for RoPE that GGUF has no metadata for, a tokenizer
//         that is neither byte-level BPE nor BPE with byte fallback, or more
//         than three tokens that end a text
Result<GgufMetadata> gguf_metadata(const ModelConfig& config,
                                   const std::string& folder,
                                   uint32_t file_type);

struct GgufTable {
  std::string name;
  std::vector<float> values;
};

// Tensors that are no weights: what divides the RoPE frequencies, of Llama 3.
std::vector<GgufTable> gguf_tables(const ModelConfig& config);

// The rows of a q or k in the order that the file has them; of plain numbers
// or of blocks.
// Requires  heads > 0; rows is a multiple of 2 * heads and divides the bytes
std::vector<std::byte> interleave_rows(std::span<const std::byte> bytes,
                                       uint32_t rows, uint32_t heads);

}  // namespace tessera
