// SPDX-License-Identifier: Apache-2.0
//
// The prompts that chat models were trained on.  Templates are Jinja programs;
// the few that matter here are recognized, not run.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

enum class ChatTemplate {
  kChatMl,   // <|im_start|>user\n...<|im_end|>\n     Qwen
  kLlama3,   // <|start_header_id|>user<|end_header_id|>\n\n...<|eot_id|>
  kLlama2,   // [INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST]
  kMistral,  // [INST] ... [/INST]
};

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// The kind of a Jinja template.
// Errors  UNIMPLEMENTED if it is none of ChatTemplate.
Result<ChatTemplate> recognize_chat_template(std::string_view jinja);

// The Jinja template of `folder`: chat_template of tokenizer_config.json, or
// chat_template.jinja; of a GGUF file, tokenizer.chat_template.  Empty if the
// model has none.
// Errors  those of reading the files
Result<std::string> chat_template_text(const std::string& folder);

// Its kind.
// Errors  NOT_FOUND if the model has none; as above otherwise.
Result<ChatTemplate> read_chat_template(const std::string& folder);

// The prompt up to where the assistant speaks.  It has no BOS in front, since
// encode() adds that one.  No default system message is made up.
//
// Errors  INVALID_ARGUMENT if there are no messages, a role is unknown, a
//         system message is not the first, or, for kLlama2 and kMistral, user
//         and assistant do not take turns
Result<std::string> format_chat(ChatTemplate kind,
                                std::span<const ChatMessage> messages);

}  // namespace tessera
