// SPDX-License-Identifier: Apache-2.0
//
// What a tokenizer.json consists of; shared by Tokenizer and TextStream.

#pragma once

#include "framework/model/tokenizer/added_tokens.hpp"
#include "framework/model/tokenizer/bpe.hpp"
#include "framework/model/tokenizer/decoder.hpp"
#include "framework/model/tokenizer/normalizer.hpp"
#include "framework/model/tokenizer/post_processor.hpp"
#include "framework/model/tokenizer/pre_tokenizer.hpp"

namespace tessera {

struct TokenizerParts {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe model;
  AddedTokens added;
  PostProcessor post_processor;
  Decoder decoder;
};

}  // namespace tessera
