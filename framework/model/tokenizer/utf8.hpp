// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 that may be broken: tokenizers must carry any bytes, so what is not a
// character is told apart instead of being replaced.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

struct Utf8Char {
  char32_t code = 0;
  size_t bytes = 1;
  bool is_valid = false;  // false: one byte that is not part of a character
};

// The first character of `text`.  No overlong forms, no surrogates, nothing
// beyond U+10FFFF.
// Requires  text is not empty.
Utf8Char first_char(std::string_view text);

// The last one.
// Requires  text is not empty.
Utf8Char last_char(std::string_view text);

// A stretch of characters, or of bytes that are none.
struct Utf8Run {
  size_t begin = 0;
  size_t end = 0;
  bool is_valid = false;
};

// `text` cut into runs of alternating validity.
std::vector<Utf8Run> utf8_runs(std::string_view text);

// Bytes at the end of `text` that more bytes could complete to a character.
size_t incomplete_tail(std::string_view text);

void append_utf8(char32_t code, std::string& out_text);

// Unicode's White_Space property.
bool is_space(char32_t code);

// What \w means to Rust's regex crate: Alphabetic, M, Nd, Pc, Join_Control.
bool is_word(char32_t code);

}  // namespace tessera
