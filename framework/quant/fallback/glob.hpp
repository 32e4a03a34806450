// SPDX-License-Identifier: Apache-2.0
//
// Names of layers as patterns: fnmatch without a case or path rule.

#pragma once

#include <string_view>

namespace tessera::quant {

// True if all of `name` matches: `*` any text (dots too), `?` one byte, [seq]
// one byte of the set, [!seq] one that is not, with ranges as a-z and `]` first
// to mean itself.  A `[` that is never closed is itself.  Case sensitive.
//
// Source  fnmatch.fnmatchcase of Python 3, which msModelSlim applies
bool matches_glob(std::string_view pattern, std::string_view name);

// True if the pattern can match more than its own text.
bool is_glob(std::string_view pattern);

}  // namespace tessera::quant
