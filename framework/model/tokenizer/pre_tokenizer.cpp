// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/pre_tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/byte_alphabet.hpp"
#include "framework/model/tokenizer/metaspace.hpp"
#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// Source: huggingface/tokenizers, tokenizers/src/pre_tokenizers: byte_level.rs,
// whitespace.rs (whose \w has Join_Control too), punctuation.rs, digits.rs.
constexpr const char* kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";
constexpr const char* kWords =
    "[\\w\\x{200c}\\x{200d}]+|[^\\w\\x{200c}\\x{200d}\\s]+";
constexpr const char* kPunctuation = "[!-/:-@\\[-`{-~\\p{P}]";

struct BehaviorName {
  const char* name;
  SplitBehavior behavior;
};

constexpr BehaviorName kBehaviorNames[] = {
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
};

Result<SplitBehavior> read_behavior(const JsonObject& step,
                                    std::optional<std::string> fallback = {}) {
  TSR_ASSIGN_OR_RETURN(const std::string name,
                       step.string("behavior", std::move(fallback)));
  for (const BehaviorName& known : kBehaviorNames) {
    if (name == known.name) return known.behavior;
  }
  return step.error("behavior", fmt::format("is {}, which is unknown", name));
}

struct Span {
  size_t begin;
  size_t end;
  bool is_match;
};

// Appends [begin, end), which no match touches.  Bytes that are no characters
// count as what the behavior keeps.
void append_gap(std::string_view text, TextRange gap, bool invert,
                std::vector<Span>& spans) {
  for (const Utf8Run& run :
       utf8_runs(text.substr(gap.begin, gap.end - gap.begin))) {
    spans.push_back(
        {gap.begin + run.begin, gap.begin + run.end, invert && run.is_valid});
  }
}

// Matches and gaps, covering `text`; `invert` swaps the two.
std::vector<Span> cover(std::string_view text,
                        const std::vector<TextRange>& matches, bool invert) {
  std::vector<Span> spans;
  size_t done = 0;
  for (const TextRange& match : matches) {
    append_gap(text, {done, match.begin}, invert, spans);
    spans.push_back({match.begin, match.end, !invert});
    done = match.end;
  }
  append_gap(text, {done, text.size()}, invert, spans);
  return spans;
}

// Source: huggingface/tokenizers, tokenizer/normalizer.rs, split().
std::vector<TextRange> words_of(const std::vector<Span>& spans,
                                SplitBehavior behavior) {
  std::vector<TextRange> words;
  bool joins_next = false;  // MergedWithNext: the last span waits for its word
  bool previous = false;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (behavior == SplitBehavior::kRemoved && span.is_match) continue;
    bool joins = joins_next;
    joins_next = false;
    if (behavior == SplitBehavior::kContiguous) {
      joins = span.is_match == previous;
    } else if (behavior == SplitBehavior::kMergedWithPrevious) {
      joins = span.is_match && !previous;
    } else if (behavior == SplitBehavior::kMergedWithNext) {
      joins_next =
          span.is_match && i + 1 < spans.size() && !spans[i + 1].is_match;
    }
    previous = span.is_match;
    if (joins && !words.empty()) {
      words.back().end = span.end;
    } else {
      words.push_back({span.begin, span.end});
    }
  }
  return words;
}

}  // namespace

Status PreTokenizer::apply(const Split& split, std::vector<TextPiece>& pieces) {
  std::vector<TextPiece> words;
  for (const TextPiece& piece : pieces) {
    const std::string_view text = piece.text;
    TSR_ASSIGN_OR_RETURN(const std::vector<TextRange> matches,
                         split.pattern.find_all(text));
    const std::vector<Span> spans = cover(text, matches, split.invert);
    for (const TextRange& word : words_of(spans, split.behavior)) {
      if (word.begin == word.end) continue;
      words.push_back(
          {std::string(text.substr(word.begin, word.end - word.begin)),
           piece.at_start && word.begin == 0});
    }
  }
  pieces = std::move(words);
  return {};
}

Result<std::vector<std::string>> PreTokenizer::split(TextPiece piece,
                                                     bool add_prefix) const {
  std::vector<TextPiece> pieces;
  if (!piece.text.empty()) pieces.push_back(std::move(piece));
  for (const Step& step : steps_) {
    if (const auto* split = std::get_if<Split>(&step)) {
      TSR_RETURN_IF_ERROR(apply(*split, pieces));
      continue;
    }
    for (TextPiece& p : pieces) {
      if (const auto* prefix = std::get_if<Prefix>(&step)) {
        const bool is_due =
            add_prefix && (p.at_start || !prefix->only_at_start);
        if (is_due && !p.text.starts_with(prefix->mark)) {
          p.text.insert(0, prefix->mark);
        }
      } else if (const auto* spaces = std::get_if<ReplaceSpaces>(&step)) {
        p.text = replace_char(p.text, ' ', spaces->mark);
      } else {
        p.text = to_byte_alphabet(p.text);
      }
    }
  }
  std::vector<std::string> words;
  words.reserve(pieces.size());
  for (TextPiece& p : pieces) words.push_back(std::move(p.text));
  return words;
}

Status PreTokenizer::add_regex(std::string_view regex, SplitBehavior behavior,
                               bool invert) {
  TSR_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::regex(regex));
  steps_.emplace_back(Split{std::move(pattern), behavior, invert});
  return {};
}

Status PreTokenizer::add_split(const JsonObject& step) {
  TSR_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::from_json(step));
  TSR_ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(step));
  TSR_ASSIGN_OR_RETURN(const bool invert, step.boolean("invert", false));
  steps_.emplace_back(Split{std::move(pattern), behavior, invert});
  return {};
}

Status PreTokenizer::add_byte_level(const JsonObject& step) {
  TSR_ASSIGN_OR_RETURN(const bool prefix,
                       step.boolean("add_prefix_space", true));
  TSR_ASSIGN_OR_RETURN(const bool use_regex, step.boolean("use_regex", true));
  if (prefix) steps_.emplace_back(Prefix{" ", false});
  if (use_regex) {
    TSR_RETURN_IF_ERROR(add_regex(kGpt2, SplitBehavior::kIsolated, false));
  }
  steps_.emplace_back(ToByteAlphabet{});
  return {};
}

Status PreTokenizer::add_metaspace(const JsonObject& step) {
  TSR_ASSIGN_OR_RETURN(const Metaspace metaspace, Metaspace::from_json(step));
  steps_.emplace_back(ReplaceSpaces{metaspace.mark});
  if (metaspace.scheme != PrependScheme::kNever) {
    steps_.emplace_back(
        Prefix{metaspace.mark, metaspace.scheme == PrependScheme::kFirst});
  }
  if (metaspace.split) {
    steps_.emplace_back(Split{TextPattern::literal(metaspace.mark),
                              SplitBehavior::kMergedWithNext, false});
  }
  return {};
}

Status PreTokenizer::add_steps(const json& value, const std::string& where) {
  TSR_ASSIGN_OR_RETURN(const JsonObject step, JsonObject::from(value, where));
  TSR_ASSIGN_OR_RETURN(const std::string type, step.string("type"));
  if (type == "Sequence") {
    TSR_ASSIGN_OR_RETURN(const json* const list, step.array("pretokenizers"));
    if (list == nullptr) return step.error("pretokenizers", "is missing");
    for (const json& item : *list) {
      TSR_RETURN_IF_ERROR(add_steps(item, where));
    }
    return {};
  }
  if (type == "Split") return add_split(step);
  if (type == "ByteLevel") return add_byte_level(step);
  if (type == "Metaspace") return add_metaspace(step);
  if (type == "Digits") {
    TSR_ASSIGN_OR_RETURN(const bool single,
                         step.boolean("individual_digits", false));
    return add_regex(
        "\\p{N}",
        single ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false);
  }
  if (type == "Punctuation") {
    TSR_ASSIGN_OR_RETURN(const SplitBehavior behavior,
                         read_behavior(step, "Isolated"));
    return add_regex(kPunctuation, behavior, false);
  }
  if (type == "Whitespace") {
    return add_regex(kWords, SplitBehavior::kRemoved, true);
  }
  if (type == "WhitespaceSplit") {
    return add_regex("\\s", SplitBehavior::kRemoved, false);
  }
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("{}: {} is not supported; Split, ByteLevel, "
                            "Metaspace, Digits, Punctuation, Whitespace, "
                            "WhitespaceSplit and Sequence are",
                            where, type));
}

Result<PreTokenizer> PreTokenizer::from_json(const json& value,
                                             const std::string& where) {
  PreTokenizer pre_tokenizer;
  if (!value.is_null()) {
    TSR_RETURN_IF_ERROR(pre_tokenizer.add_steps(value, where));
  }
  return pre_tokenizer;
}

}  // namespace tessera
