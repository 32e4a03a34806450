// SPDX-License-Identifier: Apache-2.0
//
// Rows of `tessera bench model` as people read them, in 80 columns.

#pragma once

#include <string>

#include "framework/cli/json_output.hpp"

namespace tessera::cli {

// Rows of one device and scheme, or plan, stand together.
std::string model_text(const Json& rows);

}  // namespace tessera::cli
