// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece's way with spaces, which is a pre-tokenizer and a decoder.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {

enum class PrependScheme { kAlways, kFirst, kNever };

struct Metaspace {
  std::string mark;  // one character: what a space becomes
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;

  // Errors  INVALID_ARGUMENT if a member is wrong
  static Result<Metaspace> from_json(const JsonObject& step);
};

// `text` with every `from` replaced by `to`.
std::string replace_char(std::string_view text, char from, std::string_view to);

}  // namespace tessera
