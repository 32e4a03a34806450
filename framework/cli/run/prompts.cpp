// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/prompts.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "framework/model/chat/format_chat.hpp"

namespace tessera::cli {
namespace {

Result<std::string> read_stream(std::istream& stream, const std::string& name) {
  if (!stream) return Status(TSR_NOT_FOUND, name + ": cannot be opened");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) return Status(TSR_NOT_FOUND, name + ": cannot be read");
  if (text.ends_with('\n')) text.pop_back();
  if (text.empty()) return Status(TSR_INVALID_ARGUMENT, name + ": is empty");
  return text;
}

Result<std::string> read_prompt(const std::string& argument) {
  if (argument == "-") return read_stream(std::cin, "stdin");
  if (argument.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "-p: the prompt is empty");
  }
  return argument;
}

}  // namespace

Result<std::vector<std::string>> read_prompts(const PromptOptions& options) {
  std::vector<std::string> prompts;
  for (const std::string& argument : options.texts) {
    TSR_ASSIGN_OR_RETURN(std::string text, read_prompt(argument));
    prompts.push_back(std::move(text));
  }
  for (const std::string& path : options.files) {
    std::ifstream file(path, std::ios::binary);
    TSR_ASSIGN_OR_RETURN(std::string text, read_stream(file, "-f " + path));
    prompts.push_back(std::move(text));
  }
  return prompts;
}

Result<EncodedPrompts> encode_prompts(const Model& model,
                                      const std::vector<std::string>& texts,
                                      const PromptOptions& options,
                                      uint32_t max_tokens) {
  EncodedPrompts encoded;
  encoded.eos_ids = model.config.eos_ids;
  std::optional<ChatTemplate> chat;
  if (options.chat) {
    TSR_ASSIGN_OR_RETURN(chat,
                         read_chat_template(model.folder).annotate("--chat"));
    encoded.eos_ids =
        chat_eos_ids(*chat, model.tokenizer, std::move(encoded.eos_ids));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string text = texts[i];
    if (chat) {
      std::vector<ChatMessage> messages;
      if (!options.system.empty()) {
        messages.push_back({"system", options.system});
      }
      messages.push_back({"user", text});
      TSR_ASSIGN_OR_RETURN(text, format_chat(*chat, messages));
    }
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                         model.tokenizer.encode(text));
    if (tokens.empty()) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("prompt {} has no token", i + 1));
    }
    if (tokens.size() > max_tokens) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("prompt {} has {} tokens, but the context "
                                "holds {}: shorten the prompt",
                                i + 1, tokens.size(), max_tokens));
    }
    encoded.tokens.push_back(std::move(tokens));
  }
  return encoded;
}

}  // namespace tessera::cli
