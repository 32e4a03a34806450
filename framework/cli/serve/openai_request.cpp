// SPDX-License-Identifier: Apache-2.0
//
// Source  OpenAI API reference: "Create completion", "Create chat completion"

#include "framework/cli/serve/openai_request.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "framework/cli/json_output.hpp"

namespace tessera::cli {
namespace {

using session::Engine;
using session::Question;

constexpr size_t kMostChoices = 16;
constexpr size_t kMostStops = 4;
constexpr uint32_t kUsualTokens = 16;  // of a completion, as OpenAI has it

Status invalid(const std::string& key, const std::string& why) {
  return {TSR_INVALID_ARGUMENT, key + ": " + why};
}

const Json* find(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found == body.end() || found->is_null() ? nullptr : &*found;
}

Result<double> number_at(const Json& body, const char* key, double usual,
                         double low, double high) {
  const Json* const value = find(body, key);
  if (value == nullptr) return usual;
  if (!value->is_number()) return invalid(key, "is not a number");
  const auto number = value->get<double>();
  if (number >= low && number <= high) return number;
  return invalid(key,
                 fmt::format("{} is not from {} to {}", number, low, high));
}

Result<uint64_t> count_at(const Json& body, const char* key, uint64_t usual,
                          uint64_t low, uint64_t high) {
  const Json* const value = find(body, key);
  if (value == nullptr) return usual;
  const bool is_count =
      value->is_number_unsigned() ||
      (value->is_number_integer() && value->get<int64_t>() >= 0);
  if (!is_count) return invalid(key, "is not a whole number of at least 0");
  const auto count = value->get<uint64_t>();
  if (count >= low && count <= high) return count;
  return invalid(key, fmt::format("{} is not from {} to {}", count, low, high));
}

Result<bool> flag_at(const Json& body, const char* key) {
  const Json* const value = find(body, key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) return invalid(key, "is neither true nor false");
  return value->get<bool>();
}

// Whether a value asks for nothing beyond what is done anyway.
bool asks_nothing(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0.0;
  return value.is_null() || value.empty() || value == "none" ||
         value == Json({{"type", "text"}});
}

Status check_unsupported(const Json& body) {
  constexpr std::array<const char*, 13> kKeys = {
      "tools",        "tool_choice", "functions",
      "logprobs",     "logit_bias",  "response_format",
      "echo",         "suffix",      "frequency_penalty",
      "top_logprobs", "audio",       "presence_penalty",
      "function_call"};
  for (const char* key : kKeys) {
    const Json* const value = find(body, key);
    if (value != nullptr && !asks_nothing(*value)) {
      return {TSR_UNIMPLEMENTED, std::string(key) + ": is not offered here"};
    }
  }
  return {};
}

Status check_model(const Json& body, const Engine& engine) {
  const Json* const model = find(body, "model");
  if (model == nullptr) return {};
  if (!model->is_string()) return invalid("model", "is not a text");
  if (*model == engine.model_name()) return {};
  return {TSR_NOT_FOUND,
          fmt::format("model: there is no {}, only {}",
                      model->get<std::string>(), engine.model_name())};
}

Result<std::vector<std::string>> stops_at(const Json& body) {
  std::vector<std::string> stops;
  const Json* const value = find(body, "stop");
  if (value == nullptr) return stops;
  if (value->is_string()) return std::vector{value->get<std::string>()};
  if (!value->is_array() || value->size() > kMostStops) {
    return invalid("stop", fmt::format("is neither a text nor up to {} of them",
                                       kMostStops));
  }
  for (const Json& text : *value) {
    if (!text.is_string()) return invalid("stop", "has something but texts");
    stops.push_back(text.get<std::string>());
  }
  return stops;
}

// A text, or parts of type "text".
Result<std::string> content_of(const Json& message) {
  const Json* const content = find(message, "content");
  if (content == nullptr) return invalid("messages", "one has no content");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return invalid("messages", "a content is no text");
  std::string text;
  for (const Json& part : *content) {
    const bool is_text = part.is_object() && part.contains("text") &&
                         part.at("text").is_string() &&
                         part.value("type", Json()) == "text";
    if (!is_text) {
      return Status(TSR_UNIMPLEMENTED,
                    "messages: a content has something but text");
    }
    text += part.at("text").get<std::string>();
  }
  return text;
}

Result<std::vector<int32_t>> chat_tokens(const Json& body,
                                         const Engine& engine) {
  const Json* const list = find(body, "messages");
  if (list == nullptr || !list->is_array() || list->empty()) {
    return invalid("messages", "is not a list of messages");
  }
  std::vector<ChatMessage> messages;
  for (const Json& item : *list) {
    if (!item.is_object() || !item.contains("role") ||
        !item.at("role").is_string()) {
      return invalid("messages", "one has no role");
    }
    ChatMessage message;
    message.role = item.at("role").get<std::string>();
    // Its later name.
    if (message.role == "developer") message.role = "system";
    TSR_ASSIGN_OR_RETURN(message.content, content_of(item));
    messages.push_back(std::move(message));
  }
  return engine.encode_chat(messages).annotate("messages");
}

Result<std::vector<int32_t>> tokens_of(const Json& prompt,
                                       const Engine& engine) {
  if (prompt.is_string()) return engine.encode(prompt.get<std::string>());
  std::vector<int32_t> tokens;
  for (const Json& token : prompt) {
    if (!token.is_number_integer() || token.get<int64_t>() < 0 ||
        token.get<int64_t>() > INT32_MAX) {
      return invalid("prompt", "is neither text nor token ids");
    }
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

// A text, texts, token ids, or lists of token ids.
Result<std::vector<std::vector<int32_t>>> prompts_at(const Json& body,
                                                     const Engine& engine) {
  const Json* const prompt = find(body, "prompt");
  const bool is_list = prompt != nullptr && prompt->is_array();
  if (prompt == nullptr || (!is_list && !prompt->is_string()) ||
      prompt->empty()) {
    return invalid("prompt", "is neither text nor token ids");
  }
  std::vector<std::vector<int32_t>> prompts;
  if (!is_list || prompt->front().is_number()) {
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                         tokens_of(*prompt, engine));
    prompts.push_back(std::move(tokens));
    return prompts;
  }
  if (prompt->size() > kMostChoices) {
    return invalid("prompt",
                   fmt::format("has more than {} texts", kMostChoices));
  }
  for (const Json& item : *prompt) {
    if (!item.is_string() && !item.is_array()) {
      return invalid("prompt", "is neither text nor token ids");
    }
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, tokens_of(item, engine));
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

// Everything of a question but its tokens.
Result<Question> parse_sampling(const Json& body, bool is_chat) {
  Question question;
  // The newer name wins.
  const char* const limit = find(body, "max_completion_tokens") != nullptr
                                ? "max_completion_tokens"
                                : "max_tokens";
  TSR_ASSIGN_OR_RETURN(
      const uint64_t tokens,
      count_at(body, limit, is_chat ? 0 : kUsualTokens, 1, UINT32_MAX));
  question.max_new_tokens = static_cast<uint32_t>(tokens);
  TSR_ASSIGN_OR_RETURN(const double temperature,
                       number_at(body, "temperature", 1.0, 0.0, 2.0));
  question.temperature = static_cast<float>(temperature);
  TSR_ASSIGN_OR_RETURN(const double top_p,
                       number_at(body, "top_p", 1.0, 0.0, 1.0));
  // 0 means the likeliest alone, which the sampler says otherwise.
  question.top_p = std::max(static_cast<float>(top_p), 1e-6f);
  TSR_ASSIGN_OR_RETURN(const uint64_t top_k,
                       count_at(body, "top_k", 0, 0, UINT32_MAX));
  question.top_k = static_cast<uint32_t>(top_k);
  TSR_ASSIGN_OR_RETURN(
      question.seed,
      count_at(body, "seed", std::random_device()(), 0, UINT64_MAX));
  TSR_ASSIGN_OR_RETURN(question.stops, stops_at(body));
  return question;
}

Status check_length(const Question& question, const Engine& engine) {
  if (question.tokens.empty()) return invalid("prompt", "has no token");
  if (question.tokens.size() < engine.max_context()) return {};
  return invalid("prompt",
                 fmt::format("has {} tokens, but the context holds {}, the "
                             "answer included",
                             question.tokens.size(), engine.max_context()));
}

}  // namespace

Result<OpenAiRequest> parse_openai_request(std::string_view text, bool is_chat,
                                           const Engine& engine) {
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return invalid("the body", "is not a JSON object");
  TSR_RETURN_IF_ERROR(check_model(body, engine));
  TSR_RETURN_IF_ERROR(check_unsupported(body));
  OpenAiRequest request;
  request.is_chat = is_chat;
  TSR_ASSIGN_OR_RETURN(request.stream, flag_at(body, "stream"));
  if (const Json* const more = find(body, "stream_options")) {
    if (!more->is_object()) return invalid("stream_options", "is no object");
    TSR_ASSIGN_OR_RETURN(request.include_usage,
                         flag_at(*more, "include_usage"));
  }
  TSR_ASSIGN_OR_RETURN(const uint64_t n,
                       count_at(body, "n", 1, 1, kMostChoices));
  TSR_ASSIGN_OR_RETURN(const uint64_t best_of,
                       count_at(body, "best_of", n, n, n));
  static_cast<void>(best_of);
  TSR_ASSIGN_OR_RETURN(Question question, parse_sampling(body, is_chat));
  std::vector<std::vector<int32_t>> prompts;
  if (is_chat) {
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                         chat_tokens(body, engine));
    prompts.push_back(std::move(tokens));
  } else {
    TSR_ASSIGN_OR_RETURN(prompts, prompts_at(body, engine));
  }
  if (prompts.size() * n > kMostChoices) {
    return invalid(
        "n", fmt::format("asks for more than {} choices in all", kMostChoices));
  }
  for (const std::vector<int32_t>& tokens : prompts) {
    for (uint64_t i = 0; i < n; ++i) {
      question.tokens = tokens;
      TSR_RETURN_IF_ERROR(check_length(question, engine));
      request.questions.push_back(question);
      ++question.seed;
    }
  }
  return request;
}

}  // namespace tessera::cli
