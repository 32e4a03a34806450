// SPDX-License-Identifier: Apache-2.0
//
// Another program, with a text as its input.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::cli {

// What the program, found as a shell finds it, writes to its output when it is
// given `input`.
//
// Errors  NOT_FOUND if there is no such program; INTERNAL with what it said
//         last if it fails
Result<std::string> run_program(const std::string& name,
                                const std::vector<std::string>& arguments,
                                std::string_view input);

}  // namespace tessera::cli
