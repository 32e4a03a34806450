// SPDX-License-Identifier: Apache-2.0
//
// Level 4 of the conformance kit: the default model, divided by the planner
// between the cpu and the plugin's device, against the oracle.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/running/runner.hpp"

namespace tessera::cli {

inline constexpr const char* kModelCase = "L4/model";

// Plans as if the device were a thousand times faster than the cpu, generates
// tokens, and holds each to the oracle's on the same text: it must be the same
// wherever the oracle's two best differ by more than summation order explains.
// In a child process.
//
// Requires  the report is of a library with a manifest beside it
Result<conformance::CaseResult> check_model(
    const conformance::KitReport& report);

}  // namespace tessera::cli
