// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/added_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr JsonObject::Bounds kId{0, (1 << 26) - 1};

Result<AddedToken> read_token(const json& value, const std::string& where) {
  TSR_ASSIGN_OR_RETURN(const JsonObject entry, JsonObject::from(value, where));
  AddedToken token;
  TSR_ASSIGN_OR_RETURN(const int64_t id, entry.integer("id", kId));
  token.id = static_cast<int32_t>(id);
  TSR_ASSIGN_OR_RETURN(token.content, entry.string("content"));
  TSR_ASSIGN_OR_RETURN(token.single_word, entry.boolean("single_word", false));
  TSR_ASSIGN_OR_RETURN(token.lstrip, entry.boolean("lstrip", false));
  TSR_ASSIGN_OR_RETURN(token.rstrip, entry.boolean("rstrip", false));
  TSR_ASSIGN_OR_RETURN(token.special, entry.boolean("special", false));
  TSR_ASSIGN_OR_RETURN(token.normalized,
                       entry.boolean("normalized", !token.special));
  return token;
}

Status check_id(const AddedToken& token, const Bpe& model,
                const std::string& where) {
  const auto known = model.id_of(token.content);
  const std::string* const other = model.token_of(token.id);
  if (known && *known != token.id) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} has id {}, but {} in the vocabulary",
                              where, token.content, token.id, *known));
  }
  if (other != nullptr && *other != token.content) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} has id {}, which is {} in the vocabulary",
                              where, token.content, token.id, *other));
  }
  return {};
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Char c = last_char(text);
  return c.is_valid && is_word(c.code);
}

bool starts_with_word(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Char c = first_char(text);
  return c.is_valid && is_word(c.code);
}

// Where the spaces that end `text` begin.
size_t trailing_spaces(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = last_char(text);
    if (!c.is_valid || !is_space(c.code)) break;
    text.remove_suffix(c.bytes);
  }
  return text.size();
}

// How many bytes of spaces `text` begins with.
size_t leading_spaces(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Char c = first_char(text.substr(at));
    if (!c.is_valid || !is_space(c.code)) break;
    at += c.bytes;
  }
  return at;
}

}  // namespace

void TokenMatcher::add(std::string_view pattern, size_t index) {
  if (nodes_.empty()) nodes_.emplace_back();
  size_t node = 0;
  for (const char byte : pattern) {
    auto& next = nodes_[node].next;
    const auto it = std::find_if(next.begin(), next.end(), [byte](auto& edge) {
      return edge.first == byte;
    });
    if (it != next.end()) {
      node = it->second;
      continue;
    }
    next.emplace_back(byte, static_cast<uint32_t>(nodes_.size()));
    node = nodes_.size();
    nodes_.emplace_back();
  }
  nodes_[node].index = index;
}

std::optional<TokenMatcher::Match> TokenMatcher::longest_at(
    std::string_view text, size_t begin) const {
  std::optional<Match> longest;
  size_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto& next = nodes_[node].next;
    const auto it = std::find_if(next.begin(), next.end(), [&](auto& edge) {
      return edge.first == text[at];
    });
    if (it == next.end()) break;
    node = it->second;
    if (nodes_[node].index) longest = Match{at + 1, *nodes_[node].index};
  }
  return longest;
}

Result<AddedTokens> AddedTokens::from_json(const json& value,
                                           const std::string& where,
                                           const Normalizer& normalizer,
                                           const Bpe& model) {
  AddedTokens added;
  if (value.is_null()) return added;
  if (!value.is_array()) {
    return Status(TSR_INVALID_ARGUMENT, where + ": not an array");
  }
  for (const json& item : value) {
    TSR_ASSIGN_OR_RETURN(AddedToken token, read_token(item, where));
    if (token.content.empty()) continue;
    TSR_RETURN_IF_ERROR(check_id(token, model, where));
    const size_t index = added.tokens_.size();
    if (!added.index_of_id_.emplace(token.id, index).second ||
        !added.index_of_content_.emplace(token.content, index).second) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("{}: {} with id {} stands twice", where,
                                token.content, token.id));
    }
    std::string pattern = token.content;
    if (token.normalized) {
      TSR_ASSIGN_OR_RETURN(pattern,
                           normalizer.normalize(std::move(pattern), true));
    }
    if (!pattern.empty()) {
      TokenMatcher& matcher = token.normalized ? added.normalized_ : added.raw_;
      matcher.add(pattern, index);
    }
    added.id_bound_ = std::max(added.id_bound_, token.id + 1);
    added.tokens_.push_back(std::move(token));
  }
  return added;
}

std::vector<TokenSpan> AddedTokens::split(std::string_view text,
                                          bool normalized) const {
  const TokenMatcher& matcher = normalized ? normalized_ : raw_;
  std::vector<TokenSpan> spans;
  size_t done = 0;
  size_t at = matcher.empty() ? text.size() : 0;
  while (at < text.size()) {
    const auto match = matcher.longest_at(text, at);
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match->index];
    size_t begin = at;
    size_t end = match->end;
    at = match->end;
    if (token.single_word && (ends_with_word(text.substr(0, begin)) ||
                              starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) {
      begin = std::max(trailing_spaces(text.substr(0, begin)), done);
    }
    if (token.rstrip) end += leading_spaces(text.substr(end));
    if (done < begin) spans.push_back({done, begin, nullptr});
    spans.push_back({begin, end, &token});
    done = end;
  }
  if (done < text.size()) spans.push_back({done, text.size(), nullptr});
  return spans;
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto it = index_of_id_.find(id);
  return it == index_of_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto it = index_of_content_.find(content);
  return it == index_of_content_.end() ? nullptr : &tokens_[it->second];
}

}  // namespace tessera
