// SPDX-License-Identifier: Apache-2.0
//
// Text to token ids and back, as the tokenizers library does it for a
// tokenizer.json with a BPE model.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

struct TokenizerParts;

struct EncodeOptions {
  // Puts BOS and the like around the text, where the post-processor says so.
  bool add_special_tokens = true;
  // Puts a space before the text, where normalizer or pre-tokenizer say so.
  // False for text that follows other text, or a BOS that was followed directly
  // by text in training.
  bool add_prefix = true;
};

// Copies share the vocabulary.  All functions may be called from any thread.
class Tokenizer {
 public:
  // Reads a tokenizer.json.  Its truncation and padding are ignored.
  //
  // Errors  NOT_FOUND if the file cannot be opened
  //         INVALID_ARGUMENT if it is damaged or contradicts itself
  //         UNIMPLEMENTED, naming it, if it needs a model, normalizer,
  //         pre-tokenizer, post-processor or decoder that is not supported
  static Result<Tokenizer> load(const std::string& path);

  // The same from the text of a file.
  static Result<Tokenizer> parse(std::string_view json,
                                 const std::string& source);

  // The ids of any bytes.  For valid UTF-8, what the tokenizers library gives.
  // A byte that is part of no character becomes its byte token (byte-level
  // vocabulary, or <0xNN>) where there is one, so that
  // decode(encode(text)) == text but for what the files change by design: the
  // normalizer, a space put before the text, spaces that added tokens take, and
  // U+2581, which a SentencePiece vocabulary reads as a space.
  //
  // Errors  RESOURCE_EXHAUSTED if a pattern backtracks beyond the limits
  //         INVALID_ARGUMENT if the text has more than 2^30 bytes
  Result<std::vector<int32_t>> encode(std::string_view text,
                                      const EncodeOptions& options = {}) const;

  // The text of `ids`; unknown ids are left out.  Ids that spell bytes which
  // are no UTF-8 give those bytes, where the tokenizers library gives U+FFFD.
  // With `skip_special_tokens`, special added tokens are left out.
  std::string decode(std::span<const int32_t> ids,
                     bool skip_special_tokens = true) const;

  // One more than the largest id.
  int32_t vocab_size() const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  // The token as the file spells it.
  std::optional<std::string> id_to_token(int32_t id) const;
  bool is_special(int32_t id) const;

 private:
  friend class TextStream;

  Tokenizer() = default;

  std::shared_ptr<const TokenizerParts> parts_;
};

// Decodes one id after another.  What push() and flush() return, put together,
// is decode() of all the ids.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer,
                      bool skip_special_tokens = true);
  TextStream(TextStream&& other) noexcept;
  TextStream& operator=(TextStream&& other) noexcept;
  ~TextStream();

  // The text that is settled by now; never part of a character.
  std::string push(int32_t id);

  // The rest.  The stream is then ready for another text.
  std::string flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera
