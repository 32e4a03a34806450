// SPDX-License-Identifier: Apache-2.0
//
// A run as tessera run shows it.

#pragma once

#include <string>

#include "framework/cli/json_output.hpp"
#include "framework/cli/run/run.hpp"

namespace tessera::cli {

Json run_json(const RunOptions& options, const Run& run,
              const Outcome& outcome);
// One line.
std::string summary_text(const Run& run, const GenerationResult& result);
// Kernels, and the host's own time.
std::string profile_text(const Run& run, const Outcome& outcome);
// Prompts and what came of them.
std::string batch_text(const Run& run, const GenerationResult& result);

}  // namespace tessera::cli
