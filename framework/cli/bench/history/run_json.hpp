// SPDX-License-Identifier: Apache-2.0
//
// Runs of the history as JSON and as text.

#pragma once

#include <string>

#include "framework/bench/history/run_record.hpp"
#include "framework/cli/json_output.hpp"

namespace tessera::cli {

// The keys of docs/json.md.
Json head_json(const bench::RunHead& head);
Json run_json(const bench::RunRecord& run);

// "2026-11-21T17:40:05Z", "2026-11-21 17:40".
std::string time_json(int64_t seconds);
std::string time_text(int64_t seconds);

// "run 3 of 2026-11-21 17:40", or the name of a file.
std::string run_title(const bench::RunHead& head);

}  // namespace tessera::cli
