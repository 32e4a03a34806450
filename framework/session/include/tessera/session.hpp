// SPDX-License-Identifier: Apache-2.0
//
// Tessera as a library: load a model on a device, and let it answer.
//
//   Names      Everything here is in namespace tessera.
//   Errors     Nothing throws but out of memory.  A function that can fail says
//              so with an empty result, and why in *error, unless that is null.
//   Text       is UTF-8.
//   Ownership  Arguments are borrowed for the call, results are the caller's.
//   Threads    Any thread may call; a session answers one question at a time,
//              in the order in which they came.
//   Stability  The library's file name carries the version of what is below:
//              within one, structures and functions stay as they are.

#ifndef TESSERA_SESSION_HPP
#define TESSERA_SESSION_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {
inline namespace v1 {

struct SessionOptions {
  // A Hugging Face folder or a .gguf file; empty: the model that comes with
  // Tessera.
  std::string model;
  // As `tessera devices` names it: "cpu", "vulkan:0".
  std::string device = "cpu";
  // A precision such as "w8a16"; empty: that of the checkpoint.
  std::string scheme;
  // A plan lock file of `tessera plan` for this model; it says device and
  // scheme of each layer, and `device` is not looked at.  Empty: none.
  std::string plan;
  // Tokens that prompt and answer may have together; 0: as many as the model
  // takes.  Memory is set aside for them.
  uint32_t max_context = 0;
  // Threads of the host; 0: one per core.
  uint32_t threads = 0;
  // Absolute folders with plugins; empty: those beside the program, beside this
  // library, and of TESSERA_PLUGIN_PATH.
  std::vector<std::string> plugin_folders;
};

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

struct Prompt {
  // A text to continue, or, if there are messages, a talk to answer in the
  // model's own chat template; then `text` is ignored.
  std::string text;
  std::vector<Message> messages;
  // New tokens at most; 0: as many as the context has room for.
  uint32_t max_tokens = 0;
  // 0: the likeliest token each time, whatever the next three say.
  float temperature = 0.0f;
  uint32_t top_k = 0;  // choose among the k likeliest; 0: all
  float top_p = 1.0f;  // then among the fewest that reach p, in (0, 1]
  uint64_t seed = 0;   // the same seed gives the same answer
  // Texts that end the answer, and are no part of it.
  std::vector<std::string> stop;
};

enum class Finish {
  kStop,       // the model ended, or a stop text came
  kLength,     // max_tokens, or the end of the context
  kCancelled,  // the callback returned false
};

struct Completion {
  std::string text;
  uint32_t prompt_tokens = 0;
  uint32_t new_tokens = 0;
  Finish finish = Finish::kLength;
};

// Called with each piece of the answer as soon as it is settled; whole
// characters.  False ends the answer.
using TextCallback = std::function<bool(std::string_view piece)>;

class Session {
 public:
  // Loads the model's weights onto the device.
  // Errors  null if there is no such model, device, scheme or plan, the device
  //         cannot run it, or memory is short
  static std::unique_ptr<Session> open(const SessionOptions& options,
                                       std::string* error = nullptr);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Answers `prompt`.
  // Errors  nothing if the prompt is empty or too long for the context, an
  //         option is out of range, messages are given to a model without a
  //         supported chat template, or the device failed
  std::optional<Completion> complete(const Prompt& prompt,
                                     const TextCallback& on_text = nullptr,
                                     std::string* error = nullptr);

  // How many tokens `text` has, as a prompt.
  std::optional<uint32_t> count_tokens(const std::string& text,
                                       std::string* error = nullptr) const;

  // The name of the model's folder or file.
  std::string model_name() const;
  // What SessionOptions::max_context came to.
  uint32_t max_context() const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace v1
}  // namespace tessera

#endif  // TESSERA_SESSION_HPP
