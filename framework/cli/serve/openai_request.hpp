// SPDX-License-Identifier: Apache-2.0
//
// What a client asks, in the words of OpenAI's API.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/session/engine.hpp"

namespace tessera::cli {

struct OpenAiRequest {
  // One for each choice of the reply: prompts one after another, `n` of each.
  std::vector<session::Question> questions;
  bool is_chat = false;
  bool stream = false;
  bool include_usage = false;  // in a stream
};

// The body of a request for /v1/completions, or of /v1/chat/completions if
// `is_chat`.  Of what is not offered, values that change nothing are accepted.
//
// Errors  INVALID_ARGUMENT, naming the key, if the body is no such request or
//         its prompt does not fit; NOT_FOUND for another model;
//         UNIMPLEMENTED, naming the key, for what is not offered
Result<OpenAiRequest> parse_openai_request(std::string_view body, bool is_chat,
                                           const session::Engine& engine);

}  // namespace tessera::cli
