// SPDX-License-Identifier: Apache-2.0
//
// What a client gets, in the words of OpenAI's API.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/session/engine.hpp"

namespace tessera::cli {

// What all pieces of one reply have in common.
struct ReplyHead {
  std::string id;
  std::string model;
  int64_t created_s = 0;
  bool is_chat = false;
};

ReplyHead make_reply_head(const std::string& model, bool is_chat);

Json models_json(const std::string& model, int64_t created_s);
Json completion_json(const ReplyHead& head,
                     const std::vector<session::Answer>& answers);

// Pieces of a stream: the role that opens a chat's choice, its text, its end,
// and the usage of all.
Json role_chunk(const ReplyHead& head, size_t choice);
Json text_chunk(const ReplyHead& head, size_t choice, std::string_view text);
Json end_chunk(const ReplyHead& head, size_t choice, session::Finish finish);
Json usage_chunk(const ReplyHead& head,
                 const std::vector<session::Answer>& answers);

// The HTTP status of a failure, and its body.
int http_status(const Status& status);
Json error_json(const Status& status);

// JSON on one line; bytes that are no UTF-8 become U+FFFD.
std::string line_of(const Json& json);
// The same as an event of a stream.
std::string event_of(const Json& json);

}  // namespace tessera::cli
