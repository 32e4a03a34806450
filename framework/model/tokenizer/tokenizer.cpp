// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/tokenizer_parts.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// Positions in a word are i32, and a step may double the text.
constexpr size_t kMaxTextBytes = size_t{1} << 30;

// Null if the member is missing, so that every part reads null as "none".
const json& member(const json& document, const char* key) {
  static const json null;
  const auto it = document.find(key);
  return it == document.end() ? null : *it;
}

Result<TokenizerParts> read_parts(const json& document,
                                  const std::string& source) {
  if (!document.is_object()) {
    return Status(TSR_INVALID_ARGUMENT, source + ": not an object");
  }
  const auto where = [&source](const char* key) { return source + ": " + key; };
  TokenizerParts parts;
  TSR_ASSIGN_OR_RETURN(
      parts.model, Bpe::from_json(member(document, "model"), where("model")));
  TSR_ASSIGN_OR_RETURN(parts.normalizer,
                       Normalizer::from_json(member(document, "normalizer"),
                                             where("normalizer")));
  TSR_ASSIGN_OR_RETURN(
      parts.pre_tokenizer,
      PreTokenizer::from_json(member(document, "pre_tokenizer"),
                              where("pre_tokenizer")));
  TSR_ASSIGN_OR_RETURN(parts.added,
                       AddedTokens::from_json(member(document, "added_tokens"),
                                              where("added_tokens"),
                                              parts.normalizer, parts.model));
  TSR_ASSIGN_OR_RETURN(
      parts.post_processor,
      PostProcessor::from_json(member(document, "post_processor"),
                               where("post_processor")));
  TSR_ASSIGN_OR_RETURN(
      parts.decoder,
      Decoder::from_json(member(document, "decoder"), where("decoder")));
  return parts;
}

Result<std::shared_ptr<const TokenizerParts>> share_parts(
    const json& document, const std::string& source) {
  TSR_ASSIGN_OR_RETURN(TokenizerParts parts, read_parts(document, source));
  return std::shared_ptr<const TokenizerParts>(
      std::make_shared<TokenizerParts>(std::move(parts)));
}

// One call of encode().
class Encoding {
 public:
  Encoding(const TokenizerParts& parts, bool add_prefix)
      : parts_(parts), add_prefix_(add_prefix) {}

  Status add(std::string_view text) {
    for (const TokenSpan& span : parts_.added.split(text, false)) {
      if (span.token != nullptr) {
        ids_.push_back(span.token->id);
        continue;
      }
      TSR_ASSIGN_OR_RETURN(
          const std::string normalized,
          parts_.normalizer.normalize(
              std::string(text.substr(span.begin, span.end - span.begin)),
              add_prefix_));
      TSR_RETURN_IF_ERROR(add_normalized(normalized, span.begin == 0));
    }
    return {};
  }

  std::vector<int32_t> take() { return std::move(ids_); }

 private:
  Status add_normalized(std::string_view text, bool at_start) {
    for (const TokenSpan& span : parts_.added.split(text, true)) {
      if (span.token != nullptr) {
        ids_.push_back(span.token->id);
        continue;
      }
      TextPiece piece{
          std::string(text.substr(span.begin, span.end - span.begin)),
          at_start && span.begin == 0};
      TSR_ASSIGN_OR_RETURN(
          const std::vector<std::string> words,
          parts_.pre_tokenizer.split(std::move(piece), add_prefix_));
      for (const std::string& word : words) parts_.model.encode(word, ids_);
    }
    return {};
  }

  const TokenizerParts& parts_;
  bool add_prefix_;
  std::vector<int32_t> ids_;
};

}  // namespace

Result<Tokenizer> Tokenizer::load(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const json document, read_json(path));
  Tokenizer tokenizer;
  TSR_ASSIGN_OR_RETURN(tokenizer.parts_, share_parts(document, path));
  return tokenizer;
}

Result<Tokenizer> Tokenizer::parse(std::string_view text,
                                   const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const json document, parse_json(text, source));
  Tokenizer tokenizer;
  TSR_ASSIGN_OR_RETURN(tokenizer.parts_, share_parts(document, source));
  return tokenizer;
}

Result<std::vector<int32_t>> Tokenizer::encode(
    std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("a text of {} bytes is longer than {}",
                              text.size(), kMaxTextBytes));
  }
  Encoding encoding(*parts_, options.add_prefix);
  TSR_RETURN_IF_ERROR(encoding.add(text));
  std::vector<int32_t> ids = encoding.take();
  if (options.add_special_tokens) {
    const PostProcessor& around = parts_->post_processor;
    ids.insert(ids.begin(), around.prefix().begin(), around.prefix().end());
    ids.insert(ids.end(), around.suffix().begin(), around.suffix().end());
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids,
                              bool skip_special_tokens) const {
  TextStream stream(*this, skip_special_tokens);
  std::string text;
  for (const int32_t id : ids) text += stream.push(id);
  text += stream.flush();
  return text;
}

int32_t Tokenizer::vocab_size() const {
  return std::max(parts_->model.id_bound(), parts_->added.id_bound());
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const AddedToken* const added = parts_->added.find(token);
  if (added != nullptr) return added->id;
  return parts_->model.id_of(token);
}

std::optional<std::string> Tokenizer::id_to_token(int32_t id) const {
  const AddedToken* const added = parts_->added.find(id);
  if (added != nullptr) return added->content;
  const std::string* const token = parts_->model.token_of(id);
  if (token == nullptr) return {};
  return *token;
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* const added = parts_->added.find(id);
  return added != nullptr && added->special;
}

}  // namespace tessera
