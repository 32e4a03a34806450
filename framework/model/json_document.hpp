// SPDX-License-Identifier: Apache-2.0
//
// JSON that somebody else wrote: strict, bounded, and never an exception.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// The document in `text`.  `source` names the file in messages.
//
// Errors  INVALID_ARGUMENT if the text is not JSON, is not UTF-8, repeats a key
//         within an object or nests deeper than 64 levels.
Result<nlohmann::json> parse_json(std::string_view text,
                                  const std::string& source);

// The same for the file at `path`.
// Errors  NOT_FOUND if it cannot be opened; those of parse_json().
Result<nlohmann::json> read_json(const std::string& path);

}  // namespace tessera
