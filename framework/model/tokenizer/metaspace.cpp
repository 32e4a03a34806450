// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tokenizer/metaspace.hpp"

#include "framework/model/tokenizer/utf8.hpp"

namespace tessera {

Result<Metaspace> Metaspace::from_json(const JsonObject& step) {
  Metaspace metaspace;
  TSR_ASSIGN_OR_RETURN(metaspace.mark, step.string("replacement"));
  if (metaspace.mark.empty() ||
      first_char(metaspace.mark).bytes != metaspace.mark.size()) {
    return step.error("replacement", "is not one character");
  }
  TSR_ASSIGN_OR_RETURN(metaspace.split, step.boolean("split", true));
  TSR_ASSIGN_OR_RETURN(const bool add_prefix,
                       step.boolean("add_prefix_space", true));
  // Older files have add_prefix_space alone.
  TSR_ASSIGN_OR_RETURN(
      const std::string scheme,
      step.string("prepend_scheme", add_prefix ? "always" : "never"));
  if (scheme == "first") {
    metaspace.scheme = PrependScheme::kFirst;
  } else if (scheme == "never") {
    metaspace.scheme = PrependScheme::kNever;
  } else if (scheme != "always") {
    return step.error("prepend_scheme", "is none of always, first and never");
  }
  return metaspace;
}

std::string replace_char(std::string_view text, char from,
                         std::string_view to) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (c == from) {
      result += to;
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace tessera
