// SPDX-License-Identifier: Apache-2.0
//
// The run that a user names: one of the history, or a file.

#pragma once

#include <CLI/App.hpp>
#include <string>

#include "framework/base/status.hpp"
#include "framework/bench/history/history.hpp"

namespace tessera::cli {

// What the help says of it.
constexpr const char* kRunHelp =
    "number of `bench list`, latest, latest~1, the start of a uuid, or a file "
    "that --json printed";

// `name` is a file if there is one of that name, or if it ends in ".json".
//
// Errors  those of History::find() and load(); INVALID_ARGUMENT if the file is
//         not what `bench ops`, `bench model` or `bench show` print
Result<bench::RunRecord> load_run(const std::string& name,
                                  const std::string& db);

// The history of --db, to read.
// Errors  NOT_FOUND, saying how one comes to be
Result<bench::History> open_history(const std::string& db);

}  // namespace tessera::cli
