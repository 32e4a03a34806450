// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/documents.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/base/mapped_file.hpp"

namespace tessera {
namespace {

constexpr std::string_view kSeparator = "<|endoftext|>";

std::string_view strip_newlines(std::string_view text) {
  const size_t begin = text.find_first_not_of("\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of("\r\n") - begin + 1);
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()),
          file.bytes().size()};
}

}  // namespace

std::vector<std::string> split_documents(std::string_view text) {
  std::vector<std::string> documents;
  const auto add = [&documents](std::string_view document) {
    document = strip_newlines(document);
    if (!document.empty()) documents.emplace_back(document);
  };
  size_t begin = 0;  // of the document
  size_t line = 0;
  while (line < text.size()) {
    const size_t end = std::min(text.find('\n', line), text.size());
    std::string_view content = text.substr(line, end - line);
    if (content.ends_with('\r')) content.remove_suffix(1);
    if (content == kSeparator) {
      add(text.substr(begin, line - begin));
      begin = std::min(end + 1, text.size());
    }
    line = end + 1;
  }
  add(text.substr(begin));
  return documents;
}

Result<std::vector<std::vector<int32_t>>> tokenize_documents(
    const Tokenizer& tokenizer, const std::vector<std::string>& documents,
    uint32_t max_tokens) {
  std::vector<std::vector<int32_t>> tokenized;
  for (const std::string& document : documents) {
    TSR_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                         tokenizer.encode(document));
    if (tokens.size() > max_tokens) tokens.resize(max_tokens);
    if (tokens.size() >= 2) tokenized.push_back(std::move(tokens));
  }
  return tokenized;
}

Result<std::vector<std::vector<int32_t>>> read_documents(
    const Tokenizer& tokenizer, const std::string& path, uint32_t max_tokens) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  TSR_ASSIGN_OR_RETURN(
      auto tokenized,
      tokenize_documents(tokenizer, split_documents(text_of(file)), max_tokens)
          .annotate(path));
  if (tokenized.empty()) {
    return Status(TSR_INVALID_ARGUMENT,
                  path + ": no document of at least two tokens");
  }
  return tokenized;
}

Result<std::vector<std::vector<int32_t>>> read_windows(
    const Tokenizer& tokenizer, const std::string& path, uint32_t window,
    std::optional<int32_t> bos_id) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  TSR_ASSIGN_OR_RETURN(
      const std::vector<int32_t> tokens,
      tokenizer.encode(std::string(text_of(file))).annotate(path));
  if (tokens.size() / window < 2) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} tokens are fewer than two windows of {}",
                              path, tokens.size(), window));
  }
  const bool begins_with_bos = bos_id && tokens.front() == *bos_id;
  std::vector<std::vector<int32_t>> windows;
  for (size_t begin = 0; begin + window <= tokens.size(); begin += window) {
    const auto first = tokens.begin() + static_cast<ptrdiff_t>(begin);
    windows.emplace_back(first, first + window);
    if (begins_with_bos) windows.back().front() = *bos_id;
  }
  return windows;
}

}  // namespace tessera
