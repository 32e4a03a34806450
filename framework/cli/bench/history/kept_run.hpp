// SPDX-License-Identifier: Apache-2.0
//
// How `bench ops` and `bench model` keep what they measured.

#pragma once

#include <CLI/App.hpp>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/history/history.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::cli {

struct HistoryOptions {
  std::string db;  // a file; empty: the user's own
  bool off = false;
};

// Adds --db.
void add_db_option(CLI::App& app, std::string& db);
// Adds --db and --no-history.
void add_history_options(CLI::App& app, HistoryOptions& options);

// The file of --db, or the user's own: XDG_STATE_HOME/tessera/history.db.
// Errors  FAILED_PRECONDITION if the environment names no folder for it
Result<std::string> history_path(const std::string& db);

// A run that is about to be measured.
class KeptRun {
 public:
  // Errors  what is wrong with the file of --db: better said before an hour of
  //         measuring.  The user's own file is no reason to fail.
  static Result<KeptRun> begin(const HistoryOptions& options, const char* kind);

  void add_device(const Device& device);

  // Keeps the rows.  Says on stderr why it could not, unless the file was
  // asked for.
  // Errors  why the file of --db does not have the run
  Status keep(Json settings, const Json& rows);

  // The run's number in the history; 0 if it was not kept.
  int64_t id() const { return id_; }

 private:
  explicit KeptRun(HistoryOptions options) : options_(std::move(options)) {}

  Status add_to_history(Json settings, const Json& rows);

  HistoryOptions options_;
  bench::RunRecord record_;
  int64_t id_ = 0;
};

// "kept as run 3 ...", with a newline; empty if it was not.
std::string kept_text(const KeptRun& run);

}  // namespace tessera::cli
