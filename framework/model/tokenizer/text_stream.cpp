// SPDX-License-Identifier: Apache-2.0

#include <utility>

#include "framework/model/tokenizer/tokenizer.hpp"
#include "framework/model/tokenizer/tokenizer_parts.hpp"
#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {

struct TextStream::State {
  State(std::shared_ptr<const TokenizerParts> shared, bool skips)
      : parts(std::move(shared)), skip_special(skips), chain(parts->decoder) {}

  // The token as the decoder sees it; null if it is to be left out.
  const std::string* spelling(int32_t id) const {
    const AddedToken* const added = parts->added.find(id);
    if (added == nullptr) return parts->model.token_of(id);
    return skip_special && added->special ? nullptr : &added->content;
  }

  std::shared_ptr<const TokenizerParts> parts;
  bool skip_special;
  DecodeChain chain;
  std::string held;  // the beginning of a character
};

TextStream::TextStream(const Tokenizer& tokenizer, bool skip_special_tokens)
    : state_(std::make_unique<State>(tokenizer.parts_, skip_special_tokens)) {}

TextStream::TextStream(TextStream&& other) noexcept = default;
TextStream& TextStream::operator=(TextStream&& other) noexcept = default;
TextStream::~TextStream() = default;

std::string TextStream::push(int32_t id) {
  const std::string* const token = state_->spelling(id);
  if (token == nullptr) return {};
  std::string text = std::exchange(state_->held, {});
  state_->chain.push(*token, text);
  const size_t settled = text.size() - incomplete_tail(text);
  state_->held = text.substr(settled);
  text.resize(settled);
  return text;
}

std::string TextStream::flush() {
  std::string text = std::exchange(state_->held, {});
  state_->chain.finish(text);
  return text;
}

}  // namespace tessera
