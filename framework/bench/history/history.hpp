// SPDX-License-Identifier: Apache-2.0
//
// Runs of benchmarks, kept in one SQLite file.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/history/run_record.hpp"
#include "framework/database/database.hpp"

namespace tessera::bench {

// Several processes may add to the same file.  One thread at a time.
class History {
 public:
  // Errors  those of Database::open()
  static Result<History> open(const std::string& path, Database::Access access);

  const std::string& path() const { return database_.path(); }

  // Keeps a run, whole or not at all, and gives its id.
  // Errors  INVALID_ARGUMENT if a run of the same uuid is there
  Result<int64_t> add(const RunRecord& run);

  // Oldest first.
  Result<std::vector<RunHead>> list();

  // The id of the run that the user names: a number, "latest", "latest~2" for
  // the second before it, or the first four digits or more of a uuid.
  // Errors  NOT_FOUND or INVALID_ARGUMENT, saying what there is
  Result<int64_t> find(const std::string& name);

  // Errors  NOT_FOUND; DATA_LOSS if what is stored cannot be read back
  Result<RunRecord> load(int64_t id);

  // Adds the runs of `other` that are not here yet, all or none, and gives
  // their number.
  Result<uint64_t> merge(History& other);

 private:
  explicit History(Database database) : database_(std::move(database)) {}

  Status insert(const RunRecord& run, int64_t* out_id);
  Status insert_rows(const RunRecord& run, int64_t id);
  Status load_devices(RunRecord& run);
  Status load_rows(RunRecord& run);
  Result<Json> parse_stored(const std::string& text) const;

  Database database_;
};

}  // namespace tessera::bench
