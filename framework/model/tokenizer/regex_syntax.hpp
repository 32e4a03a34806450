// SPDX-License-Identifier: Apache-2.0
//
// tokenizer.json holds patterns for Oniguruma; PCRE2 reads a few of their words
// differently.

#pragma once

#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// The PCRE2 pattern that matches what `pattern` matches in Oniguruma.
//
//   \s \S    White_Space; PCRE2 adds U+180E
//   \w \W    Alphabetic, M, Nd, Pc; PCRE2: L, N and _
//   \h \H    hexadecimal digits; PCRE2: horizontal space
//   \v       U+000B; PCRE2: vertical space
//   \uHHHH   that code point
//
// Errors  UNIMPLEMENTED for a class within a class, &&, an interval followed by
//         +, and (?m), which mean other things in PCRE2
// Source  kkos/oniguruma, doc/RE; PCRE2, pcre2pattern(3)
Result<std::string> to_pcre2(std::string_view pattern);

}  // namespace tessera
