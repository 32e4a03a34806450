// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/byte_alphabet.hpp"

#include <array>

#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

constexpr char32_t kFirstOther = 256;  // where the unprintable bytes go
constexpr size_t kNumCodes = 512;

constexpr bool is_printable(char32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
         byte >= 0xae;
}

struct Alphabet {
  std::array<char32_t, 256> code_of{};
  std::array<int16_t, kNumCodes> byte_of{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte_of.fill(-1);
  char32_t other = kFirstOther;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const char32_t code = is_printable(byte) ? byte : other++;
    alphabet.code_of[byte] = code;
    alphabet.byte_of[code] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    append_utf8(kAlphabet.code_of[static_cast<unsigned char>(byte)], text);
  }
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const Utf8Char c = first_char(text);
    if (!c.is_valid || c.code >= kAlphabet.byte_of.size() ||
        kAlphabet.byte_of[c.code] < 0) {
      return {};
    }
    bytes.push_back(static_cast<char>(kAlphabet.byte_of[c.code]));
    text.remove_prefix(c.bytes);
  }
  return bytes;
}

}  // namespace tessera
