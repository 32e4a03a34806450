// SPDX-License-Identifier: Apache-2.0
//
// Rows of `tessera bench ops` as people read them, in 80 columns.

#pragma once

#include <string>

#include "framework/cli/json_output.hpp"

namespace tessera::cli {

// Rows of one op, shape and scheme stand together, a line for each device;
// under them the command that measures them again.
std::string ops_text(const Json& rows);

// `text` in lines of at most 80 columns, all but the last ended by `joint`, all
// but the first indented.
std::string wrapped(const std::string& text, const std::string& joint = "");

// `command` broken into lines of at most 80 columns that a shell joins again.
std::string wrapped_command(const std::string& command);

}  // namespace tessera::cli
