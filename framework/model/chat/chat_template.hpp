// SPDX-License-Identifier: Apache-2.0
//
// The prompts that chat models were trained on.  Templates are Jinja programs;
// those of the families that matter here are recognized, not run: what differs
// within a family is read from the template's string literals.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/tokenizer.hpp"

namespace tessera {

enum class ChatFamily {
  kChatMl,   // <|im_start|>user\n...<|im_end|>\n     Qwen2, 2.5, 3
  kLlama3,   // <|start_header_id|>user<|end_header_id|>\n\n...<|eot_id|>
  kLlama2,   // [INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST]
  kMistral,  // [INST] ... [/INST]
};

struct ChatTemplate {
  ChatFamily family = ChatFamily::kChatMl;
  // What the system says if no message is the system's; empty: nothing.
  std::string default_system;
  // Llama 3.1 and later tell the date in front of the system message: this one,
  // or today's.
  bool has_date = false;
  std::string date;  // "26 Jul 2024"; empty: today's
  // Qwen3 forgets what an assistant thought before the last question.
  bool forgets_thoughts = false;
  // What the assistant's answer begins with: "<think>\n" of models that always
  // think.
  std::string opening;
};

// Errors  UNIMPLEMENTED if it is of no ChatFamily, naming the family where it
//         is a known one, or asks for the answer in an unknown way
Result<ChatTemplate> recognize_chat_template(std::string_view jinja);

// The Jinja template of `folder`: chat_template of tokenizer_config.json, or
// chat_template.jinja; of a GGUF file, tokenizer.chat_template.  Empty if the
// model has none.
// Errors  those of reading the files
Result<std::string> chat_template_text(const std::string& folder);

// The same, recognized.
// Errors  NOT_FOUND if the model has none; as above otherwise.
Result<ChatTemplate> read_chat_template(const std::string& folder);

// `eos_ids` of a model and the tokens that end a turn of the family, where the
// tokenizer has them; ascending.
std::vector<int32_t> chat_eos_ids(const ChatTemplate& chat,
                                  const Tokenizer& tokenizer,
                                  std::vector<int32_t> eos_ids);

}  // namespace tessera
