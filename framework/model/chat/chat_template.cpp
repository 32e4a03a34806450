// SPDX-License-Identifier: Apache-2.0

#include "framework/model/chat/chat_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <initializer_list>
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

// Marks of families that are known, but not supported.
struct ForeignMark {
  std::string_view mark;
  const char* family;
};
constexpr std::array<ForeignMark, 8> kForeignMarks = {{
    {"<start_of_turn>", "Gemma"},
    {"<|turn>", "Gemma"},
    {"<|im_sep|>", "Phi-4"},
    {"<|START_OF_TURN_TOKEN|>", "Command R"},
    {"<\xef\xbd\x9cUser\xef\xbd\x9c>", "DeepSeek"},
    {"<|start|>", "gpt-oss"},
    {"[gMASK]", "GLM"},
    {"<|user|>", "Phi-3, Zephyr or GLM"},
}};

Status unsupported(const std::string& what) {
  return {TSR_UNIMPLEMENTED,
          what +
              "; supported are ChatML as Qwen2, 2.5 and 3 write it "
              "(<|im_start|>), Llama 3 (<|start_header_id|>), Llama 2 and "
              "Mistral ([INST])"};
}

// The literal that begins behind the quote at `i`, escapes resolved; `i` is
// left at its last quote.
std::string read_literal(std::string_view jinja, size_t& i) {
  const char quote = jinja[i];
  std::string literal;
  for (++i; i < jinja.size() && jinja[i] != quote; ++i) {
    if (jinja[i] == '\\' && i + 1 < jinja.size()) {
      ++i;
      literal += jinja[i] == 'n' ? '\n' : jinja[i];
    } else {
      literal += jinja[i];
    }
  }
  return literal;
}

// The string literals of a template's expressions and statements; quotes in
// comments and in the text between are none.
std::vector<std::string> literals_in(std::string_view jinja,
                                     bool starts_inside = false) {
  std::vector<std::string> literals;
  bool inside = starts_inside;
  for (size_t i = 0; i < jinja.size(); ++i) {
    const std::string_view next = jinja.substr(i, 2);
    if (next == "{#") {
      i = std::min(jinja.find("#}", i), jinja.size());
    } else if (next == "{{" || next == "{%") {
      inside = true;
    } else if (next == "}}" || next == "%}") {
      inside = false;
    } else if (inside && (jinja[i] == '\'' || jinja[i] == '"')) {
      literals.push_back(read_literal(jinja, i));
    }
  }
  return literals;
}

// What stands where the template asks for an answer: after its last mention of
// add_generation_prompt, or, if there is none, after the last loop.
std::vector<std::string> closing_literals(std::string_view jinja) {
  for (const std::string_view mark : {"add_generation_prompt", "endfor"}) {
    const size_t at = jinja.rfind(mark);
    if (at != jinja.npos) {
      return literals_in(jinja.substr(at + mark.size()), true);
    }
  }
  return {};
}

// The text between `before` and `after` in one literal; empty if there is none.
std::string default_between(std::string_view jinja, std::string_view before,
                            std::string_view after) {
  for (const std::string& literal : literals_in(jinja)) {
    if (!literal.starts_with(before) || !literal.ends_with(after)) continue;
    if (literal.size() <= before.size() + after.size()) continue;
    return literal.substr(before.size(),
                          literal.size() - before.size() - after.size());
  }
  return {};
}

Result<ChatTemplate> recognize_chatml(std::string_view jinja) {
  ChatTemplate chat;
  chat.family = ChatFamily::kChatMl;
  const std::vector<std::string> closing = closing_literals(jinja);
  const std::string assistant = "<|im_start|>assistant\n";
  const std::string thinking = "<think>\n";
  // Qwen3's, without thinking if it is told so: by default it does think.
  const std::vector<std::string> by_choice = {assistant,
                                              "<think>\n\n</think>\n\n"};
  const bool may_think =
      closing == by_choice && contains(jinja, "enable_thinking is false");
  if (closing == std::vector<std::string>{assistant + thinking}) {
    chat.opening = thinking;
  } else if (closing != std::vector<std::string>{assistant} && !may_think) {
    return unsupported(
        "this chat template with <|im_start|> asks for the answer in an "
        "unknown way");
  }
  chat.default_system =
      default_between(jinja, "<|im_start|>system\n", "<|im_end|>\n");
  chat.forgets_thoughts =
      contains(jinja, "</think>") && contains(jinja, "last_query_index");
  return chat;
}

Result<ChatTemplate> recognize_llama3(std::string_view jinja) {
  ChatTemplate chat;
  chat.family = ChatFamily::kLlama3;
  const std::vector<std::string> closing = closing_literals(jinja);
  if (closing != std::vector<std::string>{
                     "<|start_header_id|>assistant<|end_header_id|>\n\n"}) {
    return unsupported(
        "this chat template with <|start_header_id|> asks for the answer in "
        "an unknown way");
  }
  chat.has_date = contains(jinja, "Today Date: ");
  if (!chat.has_date || contains(jinja, "strftime_now")) return chat;
  const size_t at = jinja.find("set date_string =");
  if (at == jinja.npos) return chat;
  const std::vector<std::string> dates =
      literals_in(jinja.substr(at, jinja.find('}', at) - at), true);
  if (!dates.empty()) chat.date = dates.front();
  return chat;
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

const char* turn_end(ChatFamily family) {
  switch (family) {
    case ChatFamily::kChatMl:
      return "<|im_end|>";
    case ChatFamily::kLlama3:
      return "<|eot_id|>";
    default:
      return "</s>";
  }
}

}  // namespace

Result<ChatTemplate> recognize_chat_template(std::string_view jinja) {
  for (const ForeignMark& foreign : kForeignMarks) {
    if (contains(jinja, foreign.mark)) {
      return unsupported(fmt::format("chat template of {} ({})", foreign.family,
                                     foreign.mark));
    }
  }
  if (contains(jinja, "<|im_start|>")) return recognize_chatml(jinja);
  if (contains(jinja, "<|start_header_id|>")) return recognize_llama3(jinja);
  ChatTemplate chat;
  if (contains(jinja, "[INST]")) {
    const bool is_llama2 = contains(jinja, "<<SYS>>");
    chat.family = is_llama2 ? ChatFamily::kLlama2 : ChatFamily::kMistral;
    // Mistral's tokenizers from version 3 on put no spaces there.
    if (is_llama2 || contains(jinja, " [/INST]")) return chat;
    return unsupported("chat template of a later Mistral ([/INST] unspaced)");
  }
  return unsupported("chat template of an unknown family");
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

std::vector<int32_t> chat_eos_ids(const ChatTemplate& chat,
                                  const Tokenizer& tokenizer,
                                  std::vector<int32_t> eos_ids) {
  const auto end = tokenizer.token_to_id(turn_end(chat.family));
  if (end && std::find(eos_ids.begin(), eos_ids.end(), *end) == eos_ids.end()) {
    eos_ids.push_back(*end);
    std::sort(eos_ids.begin(), eos_ids.end());
  }
  return eos_ids;
}

}  // namespace tessera
