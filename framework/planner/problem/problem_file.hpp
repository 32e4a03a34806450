// SPDX-License-Identifier: Apache-2.0
//
// Problems as JSON, so that a plan can be made on another machine than the one
// it is for.  docs/planner.md describes the format.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

// The same problem gives the same bytes.
std::string write_problem(const Problem& problem);

// `what` names the file in errors.  The problem has passed its check.
//
// Errors  INVALID_ARGUMENT, naming the key, for anything that
//         write_problem() would not write
Result<Problem> read_problem(const std::string& text, const std::string& what);

}  // namespace tessera::planner
