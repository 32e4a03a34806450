// SPDX-License-Identifier: Apache-2.0
//
// Runs the kit on a library: each case in a child process, which may crash and
// hang.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/running/report.hpp"

namespace tessera::conformance {

// Runs all selected cases, each in a child of its own with limits of time and
// memory; as many at once as the options say.
//
// Requires  this process has one thread, and has not loaded the library
// Errors    RESOURCE_EXHAUSTED if no child can be made.  Whatever the library
//           does is a result, not an error.
Result<KitReport> run_kit(const KitOptions& options);

// The ids of all selected cases, read in a child.
// Errors: FAILED_PRECONDITION if the library cannot be loaded.
Result<std::vector<std::string>> list_cases(const KitOptions& options);

// Runs the case `id` in this process; what it found.
// Errors: NOT_FOUND if there is no such case; what loading the library gives.
Result<CaseResult> run_case_here(const KitOptions& options,
                                 const std::string& id);

}  // namespace tessera::conformance
