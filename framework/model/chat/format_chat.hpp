// SPDX-License-Identifier: Apache-2.0
//
// A conversation as the prompt that a model continues.

#pragma once

#include <span>
#include <string>

#include "framework/base/status.hpp"
#include "framework/model/chat/chat_template.hpp"

namespace tessera {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// What the model's own template gives, up to where the assistant speaks.  It
// has no BOS in front, since encode() adds that one.
//
// Errors  INVALID_ARGUMENT if there are no messages, a role is unknown, or, for
//         kLlama2 and kMistral, a system message is not the first or user and
//         assistant do not take turns
Result<std::string> format_chat(const ChatTemplate& chat,
                                std::span<const ChatMessage> messages);

}  // namespace tessera
