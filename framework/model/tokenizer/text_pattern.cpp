// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/text_pattern.hpp"

#include <utility>

#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {

TextPattern TextPattern::literal(std::string text) {
  TextPattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Result<TextPattern> TextPattern::regex(std::string_view pattern) {
  TSR_ASSIGN_OR_RETURN(Regex compiled, Regex::compile(pattern));
  TextPattern result;
  result.regex_.push_back(std::move(compiled));
  return result;
}

Result<TextPattern> TextPattern::from_json(const JsonObject& holder) {
  TSR_ASSIGN_OR_RETURN(const JsonObject pattern, holder.object("pattern"));
  if (pattern.find("Regex") != nullptr) {
    TSR_ASSIGN_OR_RETURN(const std::string text, pattern.string("Regex"));
    return regex(text).annotate(holder.where());
  }
  TSR_ASSIGN_OR_RETURN(std::string text, pattern.string("String"));
  if (text.empty()) return pattern.error("String", "is empty");
  return literal(std::move(text));
}

Result<std::vector<TextRange>> TextPattern::find_all(
    std::string_view text) const {
  std::vector<TextRange> matches;
  if (regex_.empty()) {
    size_t at = text.find(literal_);
    while (at != text.npos) {
      matches.push_back({at, at + literal_.size()});
      at = text.find(literal_, at + literal_.size());
    }
    return matches;
  }
  for (const Utf8Run& run : utf8_runs(text)) {
    if (!run.is_valid) continue;
    const size_t first = matches.size();
    TSR_RETURN_IF_ERROR(regex_[0].find_all(
        text.substr(run.begin, run.end - run.begin), matches));
    for (size_t i = first; i < matches.size(); ++i) {
      matches[i].begin += run.begin;
      matches[i].end += run.begin;
    }
  }
  return matches;
}

Result<std::string> TextPattern::replace_all(std::string_view text,
                                             std::string_view content) const {
  TSR_ASSIGN_OR_RETURN(const std::vector<TextRange> matches, find_all(text));
  std::string result;
  result.reserve(text.size());
  size_t done = 0;
  for (const TextRange& match : matches) {
    result += text.substr(done, match.begin - done);
    result += content;
    done = match.end;
  }
  result += text.substr(done);
  return result;
}

}  // namespace tessera
