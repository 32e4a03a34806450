// SPDX-License-Identifier: Apache-2.0
//
// What the kit found, for people, programs and build servers.

#pragma once

#include <string>

#include "framework/cli/json_output.hpp"
#include "framework/conformance/kit/running/runner.hpp"

namespace tessera::cli {

// A table of the levels, then each failure with its reason and the command that
// reruns it.
std::string report_text(const conformance::KitReport& report);

// Keys as docs/json.md lists them.
Json report_json(const conformance::KitReport& report);

// JUnit XML: a test case for each case, a suite for each level.
std::string junit_text(const conformance::KitReport& report);

// One self-contained page.
std::string html_text(const conformance::KitReport& report);

}  // namespace tessera::cli
