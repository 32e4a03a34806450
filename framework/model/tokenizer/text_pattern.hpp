// SPDX-License-Identifier: Apache-2.0
//
// What a tokenizer searches for: {"String": "..."} or {"Regex": "..."}.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/regex.hpp"

namespace tessera {

class TextPattern {
 public:
  // The member "pattern" of `holder`.
  static Result<TextPattern> from_json(const JsonObject& holder);
  static TextPattern literal(std::string text);
  static Result<TextPattern> regex(std::string_view pattern);

  // Every match in `text`, which may hold bytes that are no characters; no
  // match touches those.
  // Errors  as Regex::find_all
  Result<std::vector<TextRange>> find_all(std::string_view text) const;

  // `text` with every match replaced by `content`, taken as it is.
  Result<std::string> replace_all(std::string_view text,
                                  std::string_view content) const;

 private:
  std::string literal_;       // empty: regex_
  std::vector<Regex> regex_;  // none or one
};

}  // namespace tessera
