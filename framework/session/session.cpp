// SPDX-License-Identifier: Apache-2.0
//
// The library's functions over an engine.

#include "tessera/session.hpp"

#include <utility>

#include "framework/session/engine.hpp"

namespace tessera {
inline namespace v1 {
namespace {

using session::Engine;

void report(const Status& status, std::string* error) {
  if (error != nullptr) *error = status.message();
}

Result<session::Question> question_of(const Engine& engine,
                                      const Prompt& prompt) {
  session::Question question;
  if (prompt.messages.empty()) {
    TSR_ASSIGN_OR_RETURN(question.tokens, engine.encode(prompt.text));
  } else {
    std::vector<ChatMessage> messages;
    messages.reserve(prompt.messages.size());
    for (const Message& message : prompt.messages) {
      messages.push_back({message.role, message.content});
    }
    TSR_ASSIGN_OR_RETURN(question.tokens, engine.encode_chat(messages));
  }
  question.max_new_tokens = prompt.max_tokens;
  question.temperature = prompt.temperature;
  question.top_k = prompt.top_k;
  question.top_p = prompt.top_p;
  question.seed = prompt.seed;
  question.stops = prompt.stop;
  return question;
}

Finish finish_of(session::Finish finish) {
  switch (finish) {
    case session::Finish::kStop:
      return Finish::kStop;
    case session::Finish::kCancelled:
      return Finish::kCancelled;
    default:
      return Finish::kLength;
  }
}

}  // namespace

struct Session::State {
  std::unique_ptr<Engine> engine;
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

std::unique_ptr<Session> Session::open(const SessionOptions& options,
                                       std::string* error) {
  Result<std::unique_ptr<Engine>> engine = session::open_engine(
      {options.model, options.device, options.scheme, options.plan,
       options.max_context, options.threads, options.plugin_folders});
  if (!engine.ok()) {
    report(engine.status(), error);
    return nullptr;
  }
  auto state = std::make_unique<State>();
  state->engine = std::move(*engine);
  return std::unique_ptr<Session>(new Session(std::move(state)));
}

std::optional<Completion> Session::complete(const Prompt& prompt,
                                            const TextCallback& on_text,
                                            std::string* error) {
  const Result<session::Question> question =
      question_of(*state_->engine, prompt);
  if (!question.ok()) {
    report(question.status(), error);
    return std::nullopt;
  }
  Result<session::Answer> answer = state_->engine->answer(*question, on_text);
  if (!answer.ok()) {
    report(answer.status(), error);
    return std::nullopt;
  }
  return Completion{std::move(answer->text), answer->prompt_tokens,
                    answer->new_tokens, finish_of(answer->finish)};
}

std::optional<uint32_t> Session::count_tokens(const std::string& text,
                                              std::string* error) const {
  const Result<std::vector<int32_t>> tokens = state_->engine->encode(text);
  if (tokens.ok()) return static_cast<uint32_t>(tokens->size());
  report(tokens.status(), error);
  return std::nullopt;
}

std::string Session::model_name() const { return state_->engine->model_name(); }

uint32_t Session::max_context() const { return state_->engine->max_context(); }

}  // namespace v1
}  // namespace tessera
