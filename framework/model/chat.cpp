// SPDX-License-Identifier: Apache-2.0

#include "framework/model/chat.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {
namespace {

using nlohmann::json;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

Status check_messages(std::span<const ChatMessage> messages) {
  if (messages.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "chat: no messages");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant") {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("chat: role \"{}\" is none of system, user and "
                                "assistant",
                                role));
    }
    if (role == "system" && i > 0) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("chat: message {} is a system message, but not "
                                "the first one",
                                i + 1));
    }
  }
  return {};
}

std::string format_chatml(std::span<const ChatMessage> messages) {
  std::string text;
  for (const ChatMessage& m : messages) {
    text += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", m.role, m.content);
  }
  return text + "<|im_start|>assistant\n";
}

std::string format_llama3(std::span<const ChatMessage> messages) {
  std::string text;
  for (const ChatMessage& m : messages) {
    text +=
        fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>",
                    m.role, trim(m.content));
  }
  return text + "<|start_header_id|>assistant<|end_header_id|>\n\n";
}

// Llama 2 opens every turn with BOS and wraps the system message in <<SYS>>;
// Mistral puts it before the first user message.
Result<std::string> format_inst(std::span<const ChatMessage> messages,
                                bool is_llama2) {
  std::string system;
  if (messages[0].role == "system") {
    system = is_llama2
                 ? fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n", messages[0].content)
                 : messages[0].content + "\n\n";
    messages = messages.subspan(1);
  }
  std::string text;
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& m = messages[i];
    if (m.role != (i % 2 == 0 ? "user" : "assistant")) {
      return Status(TSR_INVALID_ARGUMENT,
                    "chat: user and assistant do not take turns");
    }
    if (i % 2 == 0) {
      if (is_llama2 && i > 0) text += "<s>";
      text += fmt::format("[INST] {}{} [/INST]", std::exchange(system, {}),
                          trim(m.content));
    } else {
      text += fmt::format(" {}{}</s>", trim(m.content), is_llama2 ? " " : "");
    }
  }
  if (messages.size() % 2 == 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "chat: the last message is not the user's");
  }
  return text;
}

// chat_template is one template, or a list of named ones.
Result<std::string> pick_template(const JsonObject& config) {
  const json* const value = config.find("chat_template");
  if (value == nullptr || !value->is_array()) {
    return config.string("chat_template", "");
  }
  for (const json& item : *value) {
    TSR_ASSIGN_OR_RETURN(const JsonObject named,
                         JsonObject::from(item, config.where()));
    TSR_ASSIGN_OR_RETURN(const std::string name, named.string("name"));
    if (name == "default") return named.string("template");
  }
  return std::string();
}

}  // namespace

Result<ChatTemplate> recognize_chat_template(std::string_view jinja) {
  if (contains(jinja, "<|im_start|>")) return ChatTemplate::kChatMl;
  if (contains(jinja, "<|start_header_id|>")) return ChatTemplate::kLlama3;
  if (contains(jinja, "[INST]")) {
    return contains(jinja, "<<SYS>>") ? ChatTemplate::kLlama2
                                      : ChatTemplate::kMistral;
  }
  return Status(TSR_UNIMPLEMENTED,
                "chat template is not one of ChatML (<|im_start|>), Llama 3 "
                "(<|start_header_id|>), Llama 2 and Mistral ([INST])");
}

Result<std::string> chat_template_text(const std::string& folder) {
  std::error_code code;
  if (std::filesystem::is_regular_file(folder, code)) {
    TSR_ASSIGN_OR_RETURN(const Gguf file, Gguf::open(folder));
    return file.string("tokenizer.chat_template", "");
  }
  const std::string config_path = folder + "/tokenizer_config.json";
  const std::string jinja_path = folder + "/chat_template.jinja";
  std::string jinja;
  if (std::filesystem::exists(config_path, code)) {
    TSR_ASSIGN_OR_RETURN(const json document, read_json(config_path));
    TSR_ASSIGN_OR_RETURN(const JsonObject config,
                         JsonObject::from(document, config_path));
    TSR_ASSIGN_OR_RETURN(jinja, pick_template(config));
  }
  if (jinja.empty() && std::filesystem::exists(jinja_path, code)) {
    TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(jinja_path));
    jinja.assign(reinterpret_cast<const char*>(file.bytes().data()),
                 file.bytes().size());
  }
  return jinja;
}

Result<ChatTemplate> read_chat_template(const std::string& folder) {
  TSR_ASSIGN_OR_RETURN(const std::string jinja, chat_template_text(folder));
  if (jinja.empty()) {
    return Status(TSR_NOT_FOUND, folder + ": the model has no chat template");
  }
  return recognize_chat_template(jinja).annotate(folder);
}

Result<std::string> format_chat(ChatTemplate kind,
                                std::span<const ChatMessage> messages) {
  TSR_RETURN_IF_ERROR(check_messages(messages));
  switch (kind) {
    case ChatTemplate::kChatMl:
      return format_chatml(messages);
    case ChatTemplate::kLlama3:
      return format_llama3(messages);
    case ChatTemplate::kLlama2:
      return format_inst(messages, true);
    case ChatTemplate::kMistral:
      return format_inst(messages, false);
  }
  return Status(TSR_INVALID_ARGUMENT, "chat: unknown template");
}

}  // namespace tessera
