// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "framework/model/gguf/model.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// Source: llama.cpp, include/llama.h, enum llama_token_type.
enum TokenType { kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5 };

constexpr const char* kSpace = "\u2581";

struct KnownSplit {
  const char* name;
  const char* pattern;
};

constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Source: llama.cpp, src/llama-vocab.cpp, tokenizer_pre.
constexpr KnownSplit kSplits[] = {
    {"gpt-2", kGpt2},    {"default", kGpt2},           {"llama-bpe", kLlama3},
    {"llama3", kLlama3}, {"llama-v3", kLlama3},        {"smaug-bpe", kLlama3},
    {"qwen2", kQwen2},   {"deepseek-r1-qwen", kQwen2},
};

template <typename T>
Result<const std::vector<T>*> list(const Gguf& file, const std::string& key) {
  const GgufValue* const value = file.find(key);
  const auto* found =
      value == nullptr ? nullptr : std::get_if<std::vector<T>>(value);
  if (found == nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} is missing or of another type",
                              file.source(), key));
  }
  return found;
}

Result<json> pre_tokenizer(const Gguf& file) {
  TSR_ASSIGN_OR_RETURN(const std::string name,
                       file.string("tokenizer.ggml.pre", "default"));
  const auto known =
      std::find_if(std::begin(kSplits), std::end(kSplits),
                   [&](const KnownSplit& split) { return name == split.name; });
  if (known == std::end(kSplits)) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: tokenizer.ggml.pre={} is not supported; "
                              "gpt-2, default, llama-bpe and qwen2 are",
                              file.source(), name));
  }
  return json{{"type", "Sequence"},
              {"pretokenizers",
               {{{"type", "Split"},
                 {"pattern", {{"Regex", known->pattern}}},
                 {"behavior", "Isolated"},
                 {"invert", false}},
                {{"type", "ByteLevel"},
                 {"add_prefix_space", false},
                 {"trim_offsets", false},
                 {"use_regex", false}}}}};
}

// The vocabulary, and the tokens that are matched in the text as they stand.
struct Tokens {
  const std::vector<std::string>* texts = nullptr;
  json vocab = json::object();
  json added = json::array();
};

Result<Tokens> read_tokens(const Gguf& file) {
  Tokens tokens;
  TSR_ASSIGN_OR_RETURN(tokens.texts,
                       list<std::string>(file, "tokenizer.ggml.tokens"));
  const std::vector<int64_t>* types = nullptr;
  if (file.find("tokenizer.ggml.token_type") != nullptr) {
    TSR_ASSIGN_OR_RETURN(types,
                         list<int64_t>(file, "tokenizer.ggml.token_type"));
    if (types->size() != tokens.texts->size()) {
      return Status(
          TSR_INVALID_ARGUMENT,
          fmt::format("{}: {} tokens, but {} token types", file.source(),
                      tokens.texts->size(), types->size()));
    }
  }
  for (size_t id = 0; id < tokens.texts->size(); ++id) {
    const std::string& text = (*tokens.texts)[id];
    const int64_t type = types == nullptr ? 1 : (*types)[id];
    const bool is_special = type == kControl || type == kUnknown;
    if (is_special || type == kUserDefined) {
      tokens.added.push_back({{"id", id},
                              {"content", text},
                              {"single_word", false},
                              {"lstrip", false},
                              {"rstrip", false},
                              {"normalized", false},
                              {"special", is_special}});
    }
    if (!tokens.vocab.emplace(text, id).second && type != kUnused) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("{}: tokens {} and {} are the same",
                                file.source(), tokens.vocab[text].dump(), id));
    }
  }
  return tokens;
}

// Joins are ordered by the score of what they make; a SentencePiece file has
// no list of them.  Source: transformers, convert_slow_tokenizer.py,
// generate_merges.
json merges_of_scores(const std::vector<std::string>& texts,
                      const std::vector<double>& scores) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < texts.size(); ++id) ids.emplace(texts[id], id);
  struct Join {
    double score;
    size_t left;
    size_t right;
  };
  std::vector<Join> joins;
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    for (size_t at = 1; at < text.size(); ++at) {
      const auto left = ids.find(text.substr(0, at));
      const auto right = ids.find(text.substr(at));
      if (left != ids.end() && right != ids.end()) {
        joins.push_back({scores[id], left->second, right->second});
      }
    }
  }
  std::stable_sort(joins.begin(), joins.end(),
                   [](const Join& a, const Join& b) {
                     return std::tuple(b.score, a.left, a.right) <
                            std::tuple(a.score, b.left, b.right);
                   });
  json merges = json::array();
  for (const Join& join : joins) {
    merges.push_back({texts[join.left], texts[join.right]});
  }
  return merges;
}

Status add_byte_level(const Gguf& file, json& document) {
  json& model = document["model"];
  TSR_ASSIGN_OR_RETURN(const auto* merges,
                       list<std::string>(file, "tokenizer.ggml.merges"));
  model["merges"] = *merges;
  TSR_ASSIGN_OR_RETURN(const std::string pre,
                       file.string("tokenizer.ggml.pre", "default"));
  model["ignore_merges"] = pre == "llama-bpe" || pre == "llama3";
  TSR_ASSIGN_OR_RETURN(document["pre_tokenizer"], pre_tokenizer(file));
  document["decoder"] = {{"type", "ByteLevel"}};
  return {};
}

Status add_sentence_piece(const Gguf& file, const Tokens& tokens,
                          json& document) {
  TSR_ASSIGN_OR_RETURN(const auto* scores,
                       list<double>(file, "tokenizer.ggml.scores"));
  if (scores->size() != tokens.texts->size()) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: {} tokens, but {} scores", file.source(),
                        tokens.texts->size(), scores->size())};
  }
  json& model = document["model"];
  model["merges"] = merges_of_scores(*tokens.texts, *scores);
  model["byte_fallback"] = true;
  model["fuse_unk"] = true;
  TSR_ASSIGN_OR_RETURN(const int64_t unknown,
                       file.integer("tokenizer.ggml.unknown_token_id", 0));
  if (unknown >= 0 && std::cmp_less(unknown, tokens.texts->size())) {
    model["unk_token"] = (*tokens.texts)[static_cast<size_t>(unknown)];
  }
  TSR_ASSIGN_OR_RETURN(const bool has_prefix,
                       file.boolean("tokenizer.ggml.add_space_prefix", true));
  json normalizers = json::array();
  json decoders = {{{"type", "Replace"},
                    {"pattern", {{"String", kSpace}}},
                    {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}};
  if (has_prefix) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    decoders.push_back(
        {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  normalizers.push_back({{"type", "Replace"},
                         {"pattern", {{"String", " "}}},
                         {"content", kSpace}});
  document["normalizer"] = {{"type", "Sequence"}, {"normalizers", normalizers}};
  document["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  return {};
}

// BOS in front, if the file asks for it.
Status add_bos(const Gguf& file, const Tokens& tokens, bool by_default,
               json& document) {
  TSR_ASSIGN_OR_RETURN(
      const bool is_added,
      file.boolean("tokenizer.ggml.add_bos_token", by_default));
  TSR_ASSIGN_OR_RETURN(const int64_t id,
                       file.integer("tokenizer.ggml.bos_token_id", -1));
  if (!is_added || id < 0) return {};
  if (std::cmp_greater_equal(id, tokens.texts->size())) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: tokenizer.ggml.bos_token_id={} of {} tokens",
                        file.source(), id, tokens.texts->size())};
  }
  const std::string& text = (*tokens.texts)[static_cast<size_t>(id)];
  json ids = json::array();
  ids.push_back(id);
  json names = json::array();
  names.push_back(text);
  json special = json::object();
  special[text] = {{"id", text}, {"ids", ids}, {"tokens", names}};
  json first = json::object();
  first["SpecialToken"] = {{"id", text}, {"type_id", 0}};
  json second = json::object();
  second["Sequence"] = {{"id", "A"}, {"type_id", 0}};
  document["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {first, second}},
                                {"pair", {first, second}},
                                {"special_tokens", special}};
  return {};
}

}  // namespace

Result<json> gguf_tokenizer(const Gguf& file) {
  TSR_ASSIGN_OR_RETURN(const std::string model,
                       file.string("tokenizer.ggml.model"));
  const bool is_byte_level = model == "gpt2";
  if (!is_byte_level && model != "llama") {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: tokenizer.ggml.model={} is not supported; "
                              "gpt2 and llama are",
                              file.source(), model));
  }
  TSR_ASSIGN_OR_RETURN(Tokens tokens, read_tokens(file));
  json document{{"model", {{"type", "BPE"}}}, {"added_tokens", tokens.added}};
  document["model"]["vocab"] = std::move(tokens.vocab);
  if (is_byte_level) {
    TSR_RETURN_IF_ERROR(add_byte_level(file, document));
  } else {
    TSR_RETURN_IF_ERROR(add_sentence_piece(file, tokens, document));
  }
  TSR_RETURN_IF_ERROR(add_bos(file, tokens, !is_byte_level, document));
  return document;
}

}  // namespace tessera
