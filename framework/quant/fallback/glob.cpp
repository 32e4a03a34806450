// SPDX-License-Identifier: Apache-2.0
//
// One pass with a single point to come back to: the last star.

#include "framework/quant/fallback/glob.hpp"

#include <cstddef>

namespace tessera::quant {
namespace {

// Where the set that opens at pattern[open] closes; npos if nowhere.
size_t find_set_end(std::string_view pattern, size_t open) {
  size_t first = open + 1;
  if (first < pattern.size() && pattern[first] == '!') ++first;
  if (first < pattern.size() && pattern[first] == ']') ++first;
  return pattern.find(']', first);
}

// Whether `set`, the text between the brackets, names c.
bool is_in_set(std::string_view set, char c) {
  const bool negated = !set.empty() && set.front() == '!';
  if (negated) set.remove_prefix(1);
  const auto byte = static_cast<unsigned char>(c);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    const auto low = static_cast<unsigned char>(set[i]);
    if (i + 2 < set.size() && set[i + 1] == '-') {
      const auto high = static_cast<unsigned char>(set[i + 2]);
      found = found || (low <= byte && byte <= high);
      i += 2;
    } else {
      found = found || low == byte;
    }
  }
  return found != negated;
}

// Matches one byte against the element at pattern[*p]; steps over it if it
// matches.
bool step(std::string_view pattern, size_t* p, char c) {
  if (*p == pattern.size()) return false;
  if (pattern[*p] == '[') {
    const size_t end = find_set_end(pattern, *p);
    if (end != std::string_view::npos) {
      if (!is_in_set(pattern.substr(*p + 1, end - *p - 1), c)) return false;
      *p = end + 1;
      return true;
    }
  }
  if (pattern[*p] != '?' && pattern[*p] != c) return false;
  ++*p;
  return true;
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t after_star = std::string_view::npos;  // in the pattern
  size_t star_name = 0;  // the name from where that star was tried to end
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      star_name = n;
    } else if (step(pattern, &p, name[n])) {
      ++n;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_glob(std::string_view pattern) {
  return pattern.find_first_of("*?[") != std::string_view::npos;
}

}  // namespace tessera::quant
