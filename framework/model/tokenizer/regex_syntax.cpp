// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/regex_syntax.hpp"

#include <fmt/format.h>

#include <cctype>

namespace tessera {
namespace {

// The inside of a character class.
constexpr std::string_view kSpace =
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x00-\\x08\\x0e-\\x1f!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}"
    "\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}"
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kHex = "0-9a-fA-F";

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    while (at_ < pattern_.size()) {
      TSR_RETURN_IF_ERROR(pattern_[at_] == '\\' ? escape()
                          : in_class_           ? class_char()
                                                : plain_char());
    }
    return std::move(out_);
  }

 private:
  Status unimplemented(const std::string& what) const {
    return Status(
        TSR_UNIMPLEMENTED,
        fmt::format("pattern {}: {} is not supported", pattern_, what));
  }

  bool next_is(std::string_view text) const {
    return pattern_.substr(at_, text.size()) == text;
  }

  void copy(size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  // Two characters become the class `content`, or its complement.
  void write_class(std::string_view content, bool is_negated) {
    out_ += in_class_ ? fmt::format("{}", content)
                      : fmt::format("[{}{}]", is_negated ? "^" : "", content);
    at_ += 2;
  }

  Status escape() {
    if (at_ + 1 == pattern_.size()) {
      copy(1);  // PCRE2 refuses it
      return {};
    }
    const char c = pattern_[at_ + 1];
    if (c == 's') {
      write_class(kSpace, false);
    } else if (c == 'S') {
      write_class(kNotSpace, false);
    } else if (c == 'w' || c == 'h') {
      write_class(c == 'w' ? kWord : kHex, false);
    } else if (c == 'W' || c == 'H') {
      if (in_class_) return unimplemented(fmt::format("\\{} in a class", c));
      write_class(c == 'W' ? kWord : kHex, true);
    } else if (c == 'v') {
      out_ += "\\x0b";
      at_ += 2;
    } else if (c == 'u') {
      return code_point();
    } else if (c == 'Q' || c == 'E') {
      return unimplemented("\\Q or \\E");
    } else {
      copy(2);
      // \p{L}: these braces are no interval.
      const size_t end = next_is("{") ? pattern_.find('}', at_) : pattern_.npos;
      if (std::isalpha(static_cast<unsigned char>(c)) != 0 &&
          end != pattern_.npos) {
        copy(end + 1 - at_);
      }
    }
    return {};
  }

  Status code_point() {
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() < 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) {
      return unimplemented("\\u without four hexadecimal digits");
    }
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 6;
    return {};
  }

  Status class_char() {
    if (next_is("&&")) return unimplemented("&& in a class");
    if (next_is("[:")) {
      const size_t end = pattern_.find(":]", at_);
      if (end == pattern_.npos) return unimplemented("[ in a class");
      copy(end + 2 - at_);
      return {};
    }
    if (next_is("[")) return unimplemented("[ in a class");
    if (next_is("]") && at_ > class_begin_) in_class_ = false;
    copy(1);
    return {};
  }

  Status plain_char() {
    if (next_is("[")) {
      in_class_ = true;
      copy(next_is("[^") ? 2 : 1);
      class_begin_ = at_;  // a ] here is a character
      return {};
    }
    if (next_is("}+")) return unimplemented("an interval followed by +");
    if (next_is("(?")) {
      for (size_t i = at_ + 2; i < pattern_.size(); ++i) {
        const char c = pattern_[i];
        if (c == 'm') return unimplemented("the option m");
        if (c != '-' && std::islower(static_cast<unsigned char>(c)) == 0) break;
      }
    }
    copy(1);
    return {};
  }

  std::string_view pattern_;
  size_t at_ = 0;
  bool in_class_ = false;
  size_t class_begin_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> to_pcre2(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace tessera
