// SPDX-License-Identifier: Apache-2.0
//
// Texts to measure on: a file of documents, tokenized one by one.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/tokenizer.hpp"

namespace tessera {

// Documents of a text file.  A line that is "<|endoftext|>" separates them;
// blank lines around it belong to neither.  Empty documents are left out.
std::vector<std::string> split_documents(std::string_view text);

// Each document's tokens, special ones included, cut to `max_tokens`. Documents
// of fewer than two tokens score nothing and are left out.
Result<std::vector<std::vector<int32_t>>> tokenize_documents(
    const Tokenizer& tokenizer, const std::vector<std::string>& documents,
    uint32_t max_tokens);

// Reads `path` and does both.
// Errors: NOT_FOUND; INVALID_ARGUMENT if no document is left.
Result<std::vector<std::vector<int32_t>>> read_documents(
    const Tokenizer& tokenizer, const std::string& path, uint32_t max_tokens);

// The windows of llama.cpp's perplexity: the whole file as one text, cut into
// pieces of `window` tokens; what is left over is dropped.  Where the tokenizer
// begins a text with BOS, so does every window, in place of its first token.
// Only the second half of a window is scored.
//
// Errors  NOT_FOUND; INVALID_ARGUMENT if there are fewer than two windows
// Source  ggml-org/llama.cpp, tools/perplexity/README.md
Result<std::vector<std::vector<int32_t>>> read_windows(
    const Tokenizer& tokenizer, const std::string& path, uint32_t window,
    std::optional<int32_t> bos_id);

}  // namespace tessera
