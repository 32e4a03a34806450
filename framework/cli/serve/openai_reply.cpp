// SPDX-License-Identifier: Apache-2.0
//
// Source  OpenAI API reference: "The completion object", "The chat completion
//         object", "The chat completion chunk object", "Error codes"

#include "framework/cli/serve/openai_reply.hpp"

#include <fmt/format.h>

#include <ctime>

#include "framework/bench/history/run_record.hpp"

namespace tessera::cli {
namespace {

const char* finish_name(session::Finish finish) {
  return finish == session::Finish::kStop ? "stop" : "length";
}

Json usage_json(const std::vector<session::Answer>& answers) {
  uint64_t prompt = 0;
  uint64_t fresh = 0;
  for (const session::Answer& answer : answers) {
    prompt += answer.prompt_tokens;
    fresh += answer.new_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", fresh},
          {"total_tokens", prompt + fresh}};
}

Json reply_json(const ReplyHead& head, bool is_chunk) {
  const char* object = "text_completion";
  if (head.is_chat) {
    object = is_chunk ? "chat.completion.chunk" : "chat.completion";
  }
  return {{"id", head.id},
          {"object", object},
          {"created", head.created_s},
          {"model", head.model},
          {"choices", Json::array()}};
}

Json chunk_json(const ReplyHead& head, size_t choice, Json delta,
                const Json& finish) {
  Json chunk = reply_json(head, true);
  Json item = {{"index", choice}};
  if (head.is_chat) {
    item["delta"] = std::move(delta);
  } else {
    item["text"] = delta.value("content", Json(""));
  }
  item["logprobs"] = nullptr;
  item["finish_reason"] = finish;
  chunk["choices"].push_back(std::move(item));
  return chunk;
}

}  // namespace

ReplyHead make_reply_head(const std::string& model, bool is_chat) {
  return {(is_chat ? "chatcmpl-" : "cmpl-") + bench::make_uuid(), model,
          std::time(nullptr), is_chat};
}

Json models_json(const std::string& model, int64_t created_s) {
  return {{"object", "list"},
          {"data", Json::array({{{"id", model},
                                 {"object", "model"},
                                 {"created", created_s},
                                 {"owned_by", "tessera"}}})}};
}

Json completion_json(const ReplyHead& head,
                     const std::vector<session::Answer>& answers) {
  Json reply = reply_json(head, false);
  for (size_t i = 0; i < answers.size(); ++i) {
    Json choice = {{"index", i}};
    if (head.is_chat) {
      choice["message"] = {{"role", "assistant"},
                           {"content", answers[i].text},
                           {"refusal", nullptr}};
    } else {
      choice["text"] = answers[i].text;
    }
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = finish_name(answers[i].finish);
    reply["choices"].push_back(std::move(choice));
  }
  reply["usage"] = usage_json(answers);
  return reply;
}

Json role_chunk(const ReplyHead& head, size_t choice) {
  return chunk_json(head, choice, {{"role", "assistant"}, {"content", ""}},
                    nullptr);
}

Json text_chunk(const ReplyHead& head, size_t choice, std::string_view text) {
  return chunk_json(head, choice, {{"content", text}}, nullptr);
}

Json end_chunk(const ReplyHead& head, size_t choice, session::Finish finish) {
  return chunk_json(head, choice, Json::object(), finish_name(finish));
}

Json usage_chunk(const ReplyHead& head,
                 const std::vector<session::Answer>& answers) {
  Json chunk = reply_json(head, true);
  chunk["usage"] = usage_json(answers);
  return chunk;
}

int http_status(const Status& status) {
  switch (status.code()) {
    case TSR_INVALID_ARGUMENT:
    case TSR_UNIMPLEMENTED:
    case TSR_NOT_FOUND:
      return status.message().starts_with("model: ") ? 404 : 400;
    case TSR_RESOURCE_EXHAUSTED:
    case TSR_UNAVAILABLE:
      return 503;
    default:
      return 500;
  }
}

Json error_json(const Status& status) {
  const std::string& message = status.message();
  const int code = http_status(status);
  const size_t end = message.find(": ");
  const bool names_key = code < 500 && end != std::string::npos &&
                         message.substr(0, end).find(' ') == std::string::npos;
  return {{"error",
           {{"message", message},
            {"type", code < 500 ? "invalid_request_error" : "server_error"},
            {"param", names_key ? Json(message.substr(0, end)) : Json()},
            {"code", code == 404 ? Json("model_not_found") : Json()}}}};
}

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string event_of(const Json& json) {
  return "data: " + line_of(json) + "\n\n";
}

}  // namespace tessera::cli
