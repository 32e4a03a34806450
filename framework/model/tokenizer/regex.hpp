// SPDX-License-Identifier: Apache-2.0
//
// The regular expressions of tokenizer.json, on PCRE2.

#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

struct pcre2_real_code_8;

namespace tessera {

struct TextRange {
  size_t begin = 0;
  size_t end = 0;
};

// A compiled pattern.  Const functions may be called from any thread.
class Regex {
 public:
  // Errors  INVALID_ARGUMENT, with the pattern and the place, if it is wrong
  //         UNIMPLEMENTED if to_pcre2() cannot translate it
  static Result<Regex> compile(std::string_view pattern);

  // Appends every match from left to right; they do not overlap, and no empty
  // one touches the match before it.
  //
  // Requires  text is valid UTF-8
  // Errors    RESOURCE_EXHAUSTED if the pattern backtracks beyond the limits
  Status find_all(std::string_view text,
                  std::vector<TextRange>& out_matches) const;

 private:
  struct Release {
    void operator()(pcre2_real_code_8* code) const;
  };

  std::unique_ptr<pcre2_real_code_8, Release> code_;
};

}  // namespace tessera
