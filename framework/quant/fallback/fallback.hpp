// SPDX-License-Identifier: Apache-2.0
//
// Which scheme each linear gets: rules by name, and fallback of the most
// sensitive ones to a higher precision.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// What the user asked for.  In this order, first rule that applies:
//
//   1 rollback   a disable_names pattern matches, or the layer is among the
//                disable_level most sensitive of those that none matches
//   2 explicit   `schemes` has its name
//   3 wildcard   a pattern of `schemes` matches; the first in the list
//   4 default    default_scheme
//
// Source  msModelSlim: disable_names, disable_level, mix_cfg
struct SchemeRules {
  std::string default_scheme;
  std::string fallback_scheme;
  std::vector<std::pair<std::string, std::string>> schemes;  // glob -> scheme
  std::vector<std::string> disable_names;                    // globs
  uint32_t disable_level = 0;  // more than there are layers: all
};

// A linear and its metric; larger is more sensitive.
struct LayerSensitivity {
  std::string name;
  double metric = 0.0;
};

enum class SchemeReason {
  kDisableName,
  kDisableLevel,
  kExplicit,
  kWildcard,
  kDefault,
};

struct LayerChoice {
  std::string name;
  std::string scheme;
  SchemeReason reason = SchemeReason::kDefault;
  std::string rule;  // the pattern that decided, if one did
  double metric = 0.0;
  uint32_t rank = 0;  // 0: the most sensitive of all
};

struct SchemeChoices {
  std::vector<LayerChoice> layers;  // in the order given
  uint32_t num_fallbacks = 0;
  // Lines for the user: more than 20 % in fallback, patterns that match no
  // layer.
  std::vector<std::string> warnings;
};

// Errors  INVALID_ARGUMENT, naming the layer, if a name comes twice or a metric
//         is NaN
Result<SchemeChoices> choose_schemes(
    const SchemeRules& rules, const std::vector<LayerSensitivity>& layers);

// Names by descending metric; equal ones in the order given.
std::vector<std::string> rank_layers(
    const std::vector<LayerSensitivity>& layers);

// 5 for "L5".
// Errors: INVALID_ARGUMENT for anything else than L and a number.
Result<uint32_t> parse_disable_level(std::string_view text);

// "disable_names" and so on, for the log.
std::string_view scheme_reason_name(SchemeReason reason);

}  // namespace tessera::quant
