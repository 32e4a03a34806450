// SPDX-License-Identifier: Apache-2.0
//
// The "pre_tokenizer" of tokenizer.json: cuts text into the words that merges
// do not cross.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/text_pattern.hpp"

namespace tessera {

// What becomes of the matches of a Split.
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,  // neighbouring matches form one word
};

// A stretch of text on its way to being words.
struct TextPiece {
  std::string text;
  bool at_start = false;  // of the whole input
};

class PreTokenizer {
 public:
  // Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace,
  // WhitespaceSplit, a Sequence of them, or null.
  //
  // Errors  UNIMPLEMENTED, naming the type, for any other
  //         INVALID_ARGUMENT if a member is wrong
  static Result<PreTokenizer> from_json(const nlohmann::json& value,
                                        const std::string& where);

  // The words of `piece`, none empty.  Bytes that are no characters are never
  // removed.  Without `add_prefix`, no space is put before the text.
  // Errors  as Regex::find_all
  Result<std::vector<std::string>> split(TextPiece piece,
                                         bool add_prefix) const;

 private:
  struct Split {
    TextPattern pattern;
    SplitBehavior behavior;
    bool invert;
  };
  // A mark before pieces that do not begin with it.
  struct Prefix {
    std::string mark;
    bool only_at_start;
  };
  struct ReplaceSpaces {
    std::string mark;
  };
  struct ToByteAlphabet {};
  using Step = std::variant<Split, Prefix, ReplaceSpaces, ToByteAlphabet>;

  Status add_steps(const nlohmann::json& value, const std::string& where);
  Status add_split(const JsonObject& step);
  Status add_byte_level(const JsonObject& step);
  Status add_metaspace(const JsonObject& step);
  Status add_regex(std::string_view regex, SplitBehavior behavior, bool invert);

  static Status apply(const Split& split, std::vector<TextPiece>& pieces);

  std::vector<Step> steps_;
};

}  // namespace tessera
