// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8  // NOLINT(*-identifier-naming): pcre2.h asks
#include <fmt/format.h>
#include <pcre2.h>

#include <optional>
#include <string>

#include "framework/model/tokenizer/regex_syntax.hpp"
#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {
namespace {

// One match of an honest pattern needs a few steps a byte; these end a hostile
// one within about a second.
constexpr uint32_t kMaxSteps = 10'000'000;
constexpr uint32_t kMaxHeapKib = 64 * 1024;

template <auto Free>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using MatchContext =
    std::unique_ptr<pcre2_match_context, Releaser<pcre2_match_context_free>>;
using MatchData =
    std::unique_ptr<pcre2_match_data, Releaser<pcre2_match_data_free>>;

std::string error_text(int code) {
  PCRE2_UCHAR text[160] = {};
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

// The searches of one find_all().
class Search {
 public:
  Search(const pcre2_code* code, std::string_view text)
      : code_(code),
        text_(text),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)) {
    pcre2_set_match_limit(context_.get(), kMaxSteps);
    pcre2_set_heap_limit(context_.get(), kMaxHeapKib);
  }

  // The first match at or after `start`; nothing if there is none.
  Result<std::optional<TextRange>> next(size_t start) {
    int code = match(start, PCRE2_NO_UTF_CHECK);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT) {
      // The interpreter keeps its frames on the heap.
      code = match(start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    }
    if (code == PCRE2_ERROR_NOMATCH) return std::optional<TextRange>();
    if (code < 0) {
      return Status(TSR_RESOURCE_EXHAUSTED,
                    fmt::format("a pattern gave up at byte {} of {}: {}", start,
                                text_.size(), error_text(code)));
    }
    const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(data_.get());
    return std::optional(TextRange{range[0], range[1]});
  }

 private:
  int match(size_t start, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()),
                       text_.size(), start, options, data_.get(),
                       context_.get());
  }

  const pcre2_code* code_;
  std::string_view text_;
  MatchContext context_;
  MatchData data_;
};

}  // namespace

void Regex::Release::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

Result<Regex> Regex::compile(std::string_view pattern) {
  TSR_ASSIGN_OR_RETURN(const std::string translated, to_pcre2(pattern));
  int error = 0;
  PCRE2_SIZE place = 0;
  // Oniguruma's ^ and $ match at every line.
  Regex regex;
  regex.code_.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &place, nullptr));
  if (regex.code_ == nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("pattern {}: {}", pattern, error_text(error)));
  }
  // Where there is no JIT compiler the interpreter serves.
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

Status Regex::find_all(std::string_view text,
                       std::vector<TextRange>& out_matches) const {
  Search search(code_.get(), text);
  std::optional<size_t> last_end;
  size_t start = 0;
  while (start <= text.size()) {
    TSR_ASSIGN_OR_RETURN(const std::optional<TextRange> match,
                         search.next(start));
    if (!match) break;
    if (match->begin == match->end && last_end == match->end) {
      if (start == text.size()) break;
      start += first_char(text.substr(start)).bytes;
      continue;
    }
    out_matches.push_back(*match);
    last_end = start = match->end;
  }
  return {};
}

}  // namespace tessera
