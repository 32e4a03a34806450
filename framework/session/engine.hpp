// SPDX-License-Identifier: Apache-2.0
//
// A model that answers texts: what the library and `tessera serve` share.  It
// names no type of the runtime, for the library's Session is not the runtime's.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/chat/format_chat.hpp"

namespace tessera::session {

struct EngineOptions {
  std::string model;  // a folder or .gguf file; empty: the default model
  std::string device = "cpu";
  std::string scheme;  // empty: the checkpoint's
  // A plan lock file, which says device and scheme instead; empty: none.
  std::string plan;
  uint32_t max_context = 0;  // tokens of prompt and answer; 0: the model's
  uint32_t threads = 0;      // of the host; 0: one per core
  // Folders of plugins; empty: where the host looks.
  std::vector<std::string> plugin_folders;
};

struct Question {
  std::vector<int32_t> tokens;
  uint32_t max_new_tokens = 0;  // 0: as many as the context has room for
  float temperature = 0.0f;
  uint32_t top_k = 0;
  float top_p = 1.0f;
  uint64_t seed = 0;
  std::vector<std::string> stops;
};

enum class Finish {
  kStop,       // the model ended, or a stop text came
  kLength,     // the most tokens, or the end of the context
  kCancelled,  // as the caller wished
};

struct Answer {
  std::string text;
  uint32_t prompt_tokens = 0;
  uint32_t new_tokens = 0;
  Finish finish = Finish::kLength;
};

// Pieces of UTF-8 as they are settled; false ends the answer.
using TextCallback = std::function<bool(std::string_view piece)>;

// Any thread; questions are answered in the same steps, as many at once as the
// session has sequences, the others in the order in which they came.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const std::string& model_name() const = 0;
  virtual uint32_t max_context() const = 0;

  virtual Result<std::vector<int32_t>> encode(std::string_view text) const = 0;
  // The messages in the model's own template.
  // Errors  those of read_chat_template() and format_chat()
  virtual Result<std::vector<int32_t>> encode_chat(
      std::span<const ChatMessage> messages) const = 0;

  // Errors  INVALID_ARGUMENT if there is no token, one is not the model's, or
  //         they leave no room in the context
  virtual Result<Answer> answer(const Question& question,
                                const TextCallback& on_text) = 0;
  // Ends every answer with UNAVAILABLE, and those that are asked for later.
  virtual void stop() = 0;
};

// Errors  those of loading the model, opening the device and of the device
Result<std::unique_ptr<Engine>> open_engine(const EngineOptions& options);

}  // namespace tessera::session
