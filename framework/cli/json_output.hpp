// SPDX-License-Identifier: Apache-2.0
//
// JSON on stdout, as framework/cli/json declares it.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/eval/metrics.hpp"

namespace tessera::cli {

// Keeps the order in which keys are added.
using Json = nlohmann::ordered_json;

// Prints what `command` is declared to print.  Bytes that are no UTF-8 become
// U+FFFD; infinity and NaN become null.
//
// Errors  INTERNAL, after printing all the same, if it is not as declared
Status print_json(std::string_view command, const Json& value);
// Errors  INTERNAL if `value` is not what `command` is declared to print
Status check_json(std::string_view command, const Json& value);
// The text that print_json() prints.
std::string json_text(const Json& value);

// Adds `key` and `key`_ci95, which is [low, high].
void add_estimate(Json& object, const std::string& key,
                  const Estimate& estimate);

}  // namespace tessera::cli
