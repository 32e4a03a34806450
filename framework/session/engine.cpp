// SPDX-License-Identifier: Apache-2.0

#include "framework/session/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "framework/host/loading/registry.hpp"
#include "framework/host/loading/search_path.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/session/batcher.hpp"
#include "framework/session/library_folder.hpp"
#include "framework/session/loaded_plan.hpp"
#include "framework/session/make_engine.hpp"
#include "framework/session/stop_texts.hpp"

namespace tessera::session {
namespace {

// "Qwen3-0.6B" of a folder of that name.
std::string name_of(const Model& model) {
  const std::filesystem::path path =
      std::filesystem::path(model.folder).lexically_normal();
  const std::filesystem::path name =
      path.has_filename() ? path.stem() : path.parent_path().filename();
  // A dot in a folder's name begins no extension.
  const bool is_file = path.extension() == ".gguf";
  return is_file || !path.has_filename() ? name.string()
                                         : path.filename().string();
}

// Those of the model, and of its chat template.
std::vector<int32_t> eos_ids(const Model& model,
                             const Result<ChatTemplate>& chat) {
  if (!chat.ok()) return model.config.eos_ids;
  return chat_eos_ids(*chat, model.tokenizer, model.config.eos_ids);
}

// One answer as it comes: tokens in, settled text out.
class AnswerText {
 public:
  AnswerText(const Tokenizer& tokenizer, const Question& question,
             const TextCallback& on_text)
      : stream_(tokenizer), stops_(question.stops), on_text_(on_text) {}

  // False if the answer is over.
  bool push(int32_t token) {
    return give(stops_.push(stream_.push(token))) && !stops_.has_stopped();
  }

  void finish() {
    if (was_cancelled_) return;
    if (!give(stops_.push(stream_.flush()))) return;
    give(stops_.flush());
  }

  bool was_cancelled() const { return was_cancelled_; }
  bool has_stopped() const { return stops_.has_stopped(); }
  std::string take_text() { return std::move(text_); }

 private:
  bool give(const std::string& piece) {
    if (piece.empty()) return !was_cancelled_;
    text_ += piece;
    if (on_text_ && !on_text_(piece)) was_cancelled_ = true;
    return !was_cancelled_;
  }

  TextStream stream_;
  StopTexts stops_;
  const TextCallback& on_text_;
  std::string text_;
  bool was_cancelled_ = false;
};

class SessionEngine final : public Engine {
 public:
  SessionEngine(LoadedModel model, std::unique_ptr<Session> session)
      : model_(std::move(model)),
        name_(name_of(*model_.model)),
        chat_(read_chat_template(model_.model->folder)),
        batcher_(std::move(session), eos_ids(*model_.model, chat_)) {}

  const std::string& model_name() const override { return name_; }
  uint32_t max_context() const override {
    return batcher_.options().max_context;
  }

  Result<std::vector<int32_t>> encode(std::string_view text) const override {
    return model_.model->tokenizer.encode(text);
  }

  Result<std::vector<int32_t>> encode_chat(
      std::span<const ChatMessage> messages) const override {
    if (!chat_.ok()) return chat_.status();
    TSR_ASSIGN_OR_RETURN(const std::string text, format_chat(*chat_, messages));
    return encode(text);
  }

  Result<Answer> answer(const Question& question,
                        const TextCallback& on_text) override {
    TSR_RETURN_IF_ERROR(check(question));
    Request request;
    request.prompt = question.tokens;
    const auto room =
        static_cast<uint32_t>(max_context() - question.tokens.size());
    request.max_new_tokens = question.max_new_tokens == 0
                                 ? room
                                 : std::min(question.max_new_tokens, room);
    request.sampling = {question.temperature, question.top_k, question.top_p,
                        question.seed};
    AnswerText text(model_.model->tokenizer, question, on_text);
    TSR_ASSIGN_OR_RETURN(
        const Generation generation,
        batcher_.run(request, [&](int32_t token) { return text.push(token); }));
    text.finish();
    return make_answer(question, generation, text);
  }

  void stop() override { batcher_.stop(); }

 private:
  Status check(const Question& question) const {
    if (question.tokens.empty()) {
      return {TSR_INVALID_ARGUMENT, "the prompt has no token"};
    }
    const auto vocab_size =
        static_cast<int32_t>(model_.model->config.vocab_size);
    for (const int32_t token : question.tokens) {
      if (token >= 0 && token < vocab_size) continue;
      return {
          TSR_INVALID_ARGUMENT,
          fmt::format("token {} is none of the model's {}", token, vocab_size)};
    }
    if (question.tokens.size() < max_context()) return {};
    return {TSR_INVALID_ARGUMENT,
            fmt::format("the prompt has {} tokens, but the context holds {}, "
                        "the answer included",
                        question.tokens.size(), max_context())};
  }

  static Answer make_answer(const Question& question,
                            const Generation& generation, AnswerText& text) {
    Answer answer;
    answer.prompt_tokens = static_cast<uint32_t>(question.tokens.size());
    answer.new_tokens = static_cast<uint32_t>(generation.tokens.size());
    if (text.was_cancelled()) {
      answer.finish = Finish::kCancelled;
    } else if (text.has_stopped() || generation.reason == FinishReason::kEos) {
      answer.finish = Finish::kStop;
    }
    answer.text = text.take_text();
    return answer;
  }

  LoadedModel model_;  // outlives batcher_, whose session reads its weights
  std::string name_;
  Result<ChatTemplate> chat_;
  Batcher batcher_;
};

// Beside the library if this code is one: a program that uses it may lie
// anywhere.
std::vector<std::string> plugin_folders(const EngineOptions& options) {
  if (!options.plugin_folders.empty()) return options.plugin_folders;
  std::vector<std::string> folders = plugin_search_path();
  const std::string library = library_folder();
  if (!library.empty()) folders.push_back(library + "/tessera/plugins");
  return folders;
}

Result<std::unique_ptr<Session>> open_on_device(
    const EngineOptions& options, const LoadedModel& model,
    RegistryOptions registry_options, const SessionOptions& session_options) {
  TSR_ASSIGN_OR_RETURN(Scheme scheme,
                       choose_scheme(*model.model, options.scheme));
  registry_options.devices = {options.device};
  const Registry registry = Registry::discover(registry_options);
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       registry.open(options.device));
  scheme = fit_scheme(std::move(scheme), *device);
  return open_session(model, device, scheme, session_options);
}

Result<std::unique_ptr<Session>> open_planned(
    const EngineOptions& options, const LoadedModel& model,
    RegistryOptions registry_options, const SessionOptions& session_options) {
  if (!options.scheme.empty()) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("scheme {}: the plan {} says the schemes",
                              options.scheme, options.plan));
  }
  TSR_ASSIGN_OR_RETURN(
      const LoadedPlan plan,
      load_plan(options.plan, model, std::move(registry_options)));
  return open_plan_session(model, plan, session_options);
}

}  // namespace

std::unique_ptr<Engine> make_engine(LoadedModel model,
                                    std::unique_ptr<Session> session) {
  return std::make_unique<SessionEngine>(std::move(model), std::move(session));
}

Result<std::unique_ptr<Engine>> open_engine(const EngineOptions& options) {
  TSR_ASSIGN_OR_RETURN(LoadedModel model, load_model(options.model));
  const uint32_t most = model.model->config.max_positions;
  if (options.max_context > most) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("max_context {}: the model goes up to {}",
                              options.max_context, most));
  }
  SessionOptions session_options;
  session_options.max_context =
      options.max_context == 0 ? most : options.max_context;
  session_options.max_tokens =
      std::min(session_options.max_context, session_options.max_tokens);
  RegistryOptions registry_options;
  registry_options.folders = plugin_folders(options);
  registry_options.host.num_threads = options.threads;
  TSR_ASSIGN_OR_RETURN(
      std::unique_ptr<Session> session,
      options.plan.empty()
          ? open_on_device(options, model, registry_options, session_options)
          : open_planned(options, model, registry_options, session_options));
  return make_engine(std::move(model), std::move(session));
}

}  // namespace tessera::session
