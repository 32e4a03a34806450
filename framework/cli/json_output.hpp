// SPDX-License-Identifier: Apache-2.0
//
// JSON on stdout; docs/json.md lists the keys.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "framework/eval/metrics.hpp"

namespace tessera::cli {

// Keeps the order in which keys are added.
using Json = nlohmann::ordered_json;

// Bytes that are no UTF-8 become U+FFFD; infinity and NaN become null.
void print_json(const Json& value);

// Adds `key` and `key`_ci95, which is [low, high].
void add_estimate(Json& object, const std::string& key,
                  const Estimate& estimate);

}  // namespace tessera::cli
