// SPDX-License-Identifier: Apache-2.0
//
// The "added_tokens" of tokenizer.json: tokens found in the text before it is
// cut into words.

#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/tokenizer/bpe.hpp"
#include "framework/model/tokenizer/normalizer.hpp"

namespace tessera {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the spaces before it
  bool rstrip = false;       // takes the spaces after it
  bool normalized = false;   // sought in the normalized text
  bool special = false;
};

// Part of a text: an added token, or what lies between two.
struct TokenSpan {
  size_t begin = 0;
  size_t end = 0;
  const AddedToken* token = nullptr;
};

// Which of its patterns occur in a text: leftmost first, longest of those.
class TokenMatcher {
 public:
  void add(std::string_view pattern, size_t index);

  struct Match {
    size_t end;
    size_t index;
  };
  // The longest pattern that begins at `begin`.
  std::optional<Match> longest_at(std::string_view text, size_t begin) const;

  bool empty() const { return nodes_.empty(); }

 private:
  struct Node {
    std::vector<std::pair<char, uint32_t>> next;
    std::optional<size_t> index;
  };

  std::vector<Node> nodes_;
};

class AddedTokens {
 public:
  // Errors  INVALID_ARGUMENT if a member is wrong, or a token has another id
  //         in the vocabulary
  static Result<AddedTokens> from_json(const nlohmann::json& value,
                                       const std::string& where,
                                       const Normalizer& normalizer,
                                       const Bpe& model);

  // `text` cut at the tokens that are sought before normalization, or, with
  // `normalized`, after it.  The spans are not empty.
  //
  // Source  huggingface/tokenizers, tokenizer/added_vocabulary.rs, find_matches
  std::vector<TokenSpan> split(std::string_view text, bool normalized) const;

  // Null if the id or the content is not an added token's.
  const AddedToken* find(int32_t id) const;
  const AddedToken* find(std::string_view content) const;

  // One more than the largest id; 0 if there are none.
  int32_t id_bound() const { return id_bound_; }

 private:
  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, size_t> index_of_id_;
  std::map<std::string, size_t, std::less<>> index_of_content_;
  TokenMatcher raw_;
  TokenMatcher normalized_;
  int32_t id_bound_ = 0;
};

}  // namespace tessera
