// SPDX-License-Identifier: Apache-2.0

#include "framework/model/chat/format_chat.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

namespace tessera {
namespace {

using Messages = std::span<const ChatMessage>;

std::string_view trim(std::string_view text, std::string_view outside) {
  const size_t begin = text.find_first_not_of(outside);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(outside) - begin + 1);
}

std::string_view trim(std::string_view text) {
  return trim(text, " \t\r\n\v\f");
}

bool has_system(Messages messages) { return messages[0].role == "system"; }

bool takes_turns(ChatFamily family) {
  return family == ChatFamily::kLlama2 || family == ChatFamily::kMistral;
}

Status check_messages(ChatFamily family, Messages messages) {
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
    if (role == "system" && i > 0 && takes_turns(family)) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("chat: message {} is a system message, but not "
                                "the first one",
                                i + 1));
    }
  }
  return {};
}

std::string chatml_turn(std::string_view role, std::string_view content) {
  return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

// What Qwen3 keeps of an assistant's message: of one before the last question
// the answer alone, of the last message thoughts too, were they empty.
std::string kept_answer(const std::string& content, bool keeps_thoughts) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  std::string_view answer = content;
  std::string_view thoughts;
  const size_t end = answer.rfind(kClose);
  if (end != answer.npos) {
    thoughts = answer.substr(0, answer.find(kClose));
    const size_t begin = thoughts.rfind(kOpen);
    if (begin != thoughts.npos) {
      thoughts = thoughts.substr(begin + kOpen.size());
    }
    answer = answer.substr(end + kClose.size());
    answer.remove_prefix(
        std::min(answer.find_first_not_of('\n'), answer.size()));
  }
  if (!keeps_thoughts) return std::string(answer);
  answer.remove_prefix(std::min(answer.find_first_not_of('\n'), answer.size()));
  return fmt::format("<think>\n{}\n</think>\n\n{}", trim(thoughts, "\n"),
                     answer);
}

// The index of the last question, or past the end.
size_t last_question(Messages messages) {
  for (size_t i = messages.size(); i > 0; --i) {
    if (messages[i - 1].role == "user") return i - 1;
  }
  return messages.size();
}

std::string format_chatml(const ChatTemplate& chat, Messages messages) {
  std::string text;
  if (!chat.default_system.empty() && !has_system(messages)) {
    text = chatml_turn("system", chat.default_system);
  }
  const size_t question = last_question(messages);
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& m = messages[i];
    if (!chat.forgets_thoughts || m.role != "assistant") {
      text += chatml_turn(m.role, m.content);
      continue;
    }
    const bool is_last = i + 1 == messages.size();
    const bool has_thoughts = m.content.find("</think>") != std::string::npos;
    text += chatml_turn(
        m.role,
        kept_answer(m.content, i > question && (is_last || has_thoughts)));
  }
  return text + "<|im_start|>assistant\n" + chat.opening;
}

std::string llama3_turn(std::string_view role, std::string_view content) {
  return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>",
                     role, content);
}

// "26 Jul 2024", whatever the locale.
std::string todays_date() {
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr",
                                                   "May", "Jun", "Jul", "Aug",
                                                   "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return fmt::format("{:02} {} {}", parts.tm_mday,
                     kMonths.at(static_cast<size_t>(parts.tm_mon)),
                     parts.tm_year + 1900);
}

std::string format_llama3(const ChatTemplate& chat, Messages messages) {
  std::string text;
  if (chat.has_date) {
    const std::string date = chat.date.empty() ? todays_date() : chat.date;
    std::string system = fmt::format(
        "Cutting Knowledge Date: December 2023\nToday Date: {}\n\n", date);
    if (has_system(messages)) {
      system += trim(messages[0].content);
      messages = messages.subspan(1);
    }
    text = llama3_turn("system", system);
  }
  for (const ChatMessage& m : messages) {
    text += llama3_turn(m.role, trim(m.content));
  }
  return text + "<|start_header_id|>assistant<|end_header_id|>\n\n";
}

// Llama 2 opens every turn with BOS and wraps the system message in <<SYS>>;
// Mistral puts it before the first user message.
Result<std::string> format_inst(Messages messages, bool is_llama2) {
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

}  // namespace

Result<std::string> format_chat(const ChatTemplate& chat,
                                std::span<const ChatMessage> messages) {
  TSR_RETURN_IF_ERROR(check_messages(chat.family, messages));
  switch (chat.family) {
    case ChatFamily::kChatMl:
      return format_chatml(chat, messages);
    case ChatFamily::kLlama3:
      return format_llama3(chat, messages);
    case ChatFamily::kLlama2:
      return format_inst(messages, true);
    case ChatFamily::kMistral:
      return format_inst(messages, false);
  }
  return Status(TSR_INVALID_ARGUMENT, "chat: unknown template");
}

}  // namespace tessera
