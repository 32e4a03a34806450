// SPDX-License-Identifier: Apache-2.0
//
// What a tokenizer.json consists of; shared by Tokenizer and TextStream.

#pragma once

#include "framework/model/added_tokens.hpp"
#include "framework/model/bpe.hpp"
#include "framework/model/decoder.hpp"
#include "framework/model/normalizer.hpp"
#include "framework/model/post_processor.hpp"
#include "framework/model/pre_tokenizer.hpp"

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
