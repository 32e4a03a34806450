// SPDX-License-Identifier: Apache-2.0
//
// From what the user typed to token ids.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/model.hpp"

namespace tessera::cli {

struct PromptOptions {
  std::vector<std::string> texts;  // "-" is stdin
  std::vector<std::string> files;
  bool chat = false;
  std::string system;  // with chat: what the system says; empty: the template's
};

// Prompts as a model reads them.
struct EncodedPrompts {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<int32_t> eos_ids;  // that end an answer
};

// The texts in the order of the flags, -p first.  One newline at the end of a
// file or of stdin is not part of the text.
// Errors  NOT_FOUND if a file cannot be read; INVALID_ARGUMENT if a text is
//         empty
Result<std::vector<std::string>> read_prompts(const PromptOptions& options);

// Each text as token ids; with options.chat, as a message of a user in the
// model's own template.
// Errors  INVALID_ARGUMENT if nothing is left of a text, or it has more than
//         `max_tokens`; those of read_chat_template()
Result<EncodedPrompts> encode_prompts(const Model& model,
                                      const std::vector<std::string>& texts,
                                      const PromptOptions& options,
                                      uint32_t max_tokens);

}  // namespace tessera::cli
