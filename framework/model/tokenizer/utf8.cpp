// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/utf8.hpp"

#include <utf8proc.h>

#include <algorithm>

namespace tessera {
namespace {

// Bytes of a character that begins with `lead`; 0 if none does.
size_t sequence_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;  // a continuation byte or an overlong form
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// Whether `second` may follow `lead`: excludes overlong forms, surrogates and
// what lies beyond U+10FFFF.  Source: The Unicode Standard, table 3-7.
bool may_follow(unsigned char lead, unsigned char second) {
  if (lead == 0xe0) return second >= 0xa0 && second <= 0xbf;
  if (lead == 0xed) return second >= 0x80 && second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90 && second <= 0xbf;
  if (lead == 0xf4) return second >= 0x80 && second <= 0x8f;
  return (second & 0xc0) == 0x80;
}

unsigned char byte_at(std::string_view text, size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// How many of the first bytes of `text` can begin or be a character.
size_t well_formed_prefix(std::string_view text, size_t wanted) {
  size_t length = 1;
  while (length < wanted && length < text.size()) {
    const unsigned char next = byte_at(text, length);
    const bool fits = length == 1 ? may_follow(byte_at(text, 0), next)
                                  : (next & 0xc0) == 0x80;
    if (!fits) break;
    ++length;
  }
  return length;
}

}  // namespace

Utf8Char first_char(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  const size_t wanted = sequence_bytes(lead);
  if (wanted == 1) return {lead, 1, true};
  if (wanted == 0 || well_formed_prefix(text, wanted) < wanted) {
    return {lead, 1, false};
  }
  char32_t code = lead & (0x7fU >> wanted);
  for (size_t i = 1; i < wanted; ++i) {
    code = (code << 6) | (byte_at(text, i) & 0x3fU);
  }
  return {code, wanted, true};
}

Utf8Char last_char(std::string_view text) {
  for (size_t bytes = 1; bytes <= std::min<size_t>(4, text.size()); ++bytes) {
    const Utf8Char c = first_char(text.substr(text.size() - bytes));
    if (c.is_valid && c.bytes == bytes) return c;
  }
  return {byte_at(text, text.size() - 1), 1, false};
}

std::vector<Utf8Run> utf8_runs(std::string_view text) {
  std::vector<Utf8Run> runs;
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Char c = first_char(text.substr(at));
    if (runs.empty() || runs.back().is_valid != c.is_valid) {
      runs.push_back({at, at, c.is_valid});
    }
    at += c.bytes;
    runs.back().end = at;
  }
  return runs;
}

size_t incomplete_tail(std::string_view text) {
  for (size_t bytes = 1; bytes <= std::min<size_t>(3, text.size()); ++bytes) {
    const std::string_view tail = text.substr(text.size() - bytes);
    const size_t wanted = sequence_bytes(byte_at(tail, 0));
    if (wanted > bytes && well_formed_prefix(tail, wanted) == bytes) {
      return bytes;
    }
  }
  return 0;
}

void append_utf8(char32_t code, std::string& out_text) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  out_text.append(bytes, bytes + length);
}

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 ||
         code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

bool is_word(char32_t code) {
  // Letters in circles and squares: Other_Alphabetic outside category M.
  if ((code >= 0x24b6 && code <= 0x24e9) ||
      (code >= 0x1f130 && code <= 0x1f149) ||
      (code >= 0x1f150 && code <= 0x1f169) ||
      (code >= 0x1f170 && code <= 0x1f189)) {
    return true;
  }
  if (code == 0x200c || code == 0x200d) return true;  // Join_Control
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

}  // namespace tessera
