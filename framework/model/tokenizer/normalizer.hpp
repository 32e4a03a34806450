// SPDX-License-Identifier: Apache-2.0
//
// The "normalizer" of tokenizer.json: what happens to the text before it is
// cut.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/text_pattern.hpp"

namespace tessera {

class Normalizer {
 public:
  // Prepend, Replace, NFC, a Sequence of them, or null.
  //
  // Errors  UNIMPLEMENTED, naming the type, for any other
  //         INVALID_ARGUMENT if a member is wrong
  static Result<Normalizer> from_json(const nlohmann::json& value,
                                      const std::string& where);

  // Bytes that are no characters stay as they are.  Without `add_prefix`,
  // Prepend is left out.
  // Errors  as Regex::find_all
  Result<std::string> normalize(std::string text, bool add_prefix) const;

 private:
  struct Prepend {
    std::string text;
  };
  struct Replace {
    TextPattern pattern;
    std::string content;
  };
  struct Nfc {};

  static Status add_steps(const nlohmann::json& value, const std::string& where,
                          Normalizer& normalizer);

  std::vector<std::variant<Prepend, Replace, Nfc>> steps_;
};

}  // namespace tessera
