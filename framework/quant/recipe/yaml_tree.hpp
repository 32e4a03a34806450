// SPDX-License-Identifier: Apache-2.0
//
// YAML as a plain tree whose size and depth are bounded, so that what reads it
// has no hostile file to fear.  yaml-cpp stays behind it.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  uint32_t line = 0;  // from 1; of a map's value, that of its key
  std::string key;    // in a map
  std::string text;   // of a scalar
  bool quoted = false;
  std::vector<YamlNode> items;  // of a sequence or map, in the file's order
};

// What one file may hold.  Aliases count as what they stand for.
inline constexpr uint32_t kMaxYamlBytes = 1 << 20;
inline constexpr uint32_t kMaxYamlNodes = 20000;
inline constexpr uint32_t kMaxYamlDepth = 32;

// The one document of `text`.
//
// Errors  INVALID_ARGUMENT, naming the line, if it is not YAML, exceeds what is
//         allowed above, has a key twice, a key that is no scalar, an alias of
//         what it lies in, or a second document
Result<YamlNode> parse_yaml(std::string_view text);

}  // namespace tessera::quant
