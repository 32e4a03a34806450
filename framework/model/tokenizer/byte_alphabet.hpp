// SPDX-License-Identifier: Apache-2.0
//
// GPT-2's alphabet: a printable character for every byte, so that a byte-level
// vocabulary can be written as text.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

// The characters of all bytes of `bytes`, in order.
// Source  openai/gpt-2, src/encoder.py, bytes_to_unicode
std::string to_byte_alphabet(std::string_view bytes);

// The bytes that `text` spells; nothing if a character is not in the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace tessera
