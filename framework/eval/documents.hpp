// SPDX-License-Identifier: Apache-2.0
//
// Texts to measure on: a file of documents, tokenized one by one.

#pragma once

#include <cstdint>
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

}  // namespace tessera
