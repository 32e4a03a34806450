// SPDX-License-Identifier: Apache-2.0
//
// A SQLite file with a schema of ours: whole or untouched, and never that of
// another program.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "framework/base/status.hpp"
#include "framework/database/statement.hpp"

struct sqlite3;

namespace tessera {

// What a file must hold.
struct Schema {
  // Written into the file's header; a file with another one is refused.
  uint32_t application_id = 0;
  // What the file is, as in "is no benchmark history".
  const char* name = "";
  // SQL that takes version i to i + 1; a new file is version 0.
  std::span<const char* const> steps;
};

// Several processes may have the same file open: writers wait for each other.
// One thread at a time.
class Database {
 public:
  enum class Access {
    kReadWrite,  // made, with its folders, if it is not there
    kReadOnly,
  };

  // Opens the file and brings its schema up to date.  An older file opened to
  // read is refused, for it cannot be.
  //
  // Errors  NOT_FOUND if there is nothing to read; DATA_LOSS if it is no
  //         database, or damaged; FAILED_PRECONDITION if it is another
  //         program's, of a later version, or cannot be opened;
  //         RESOURCE_EXHAUSTED if another process keeps it locked
  static Result<Database> open(const std::string& path, const Schema& schema,
                               Access access = Access::kReadWrite);

  const std::string& path() const { return path_; }

  Result<Statement> prepare(const char* sql);
  // Statements without values and results.
  Status execute(const char* sql);
  // Of the last row that was inserted.
  int64_t last_row_id() const;

  // Runs `body` so that all it changes becomes visible at once, or, if it
  // fails, nothing.  Not to be nested.
  Status transact(const std::function<Status()>& body);

  // Reads the whole file.
  // Errors  DATA_LOSS, with the first thing that is wrong
  Status check();

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };

  Database(sqlite3* connection, std::string path);
  Result<int64_t> pragma(const char* sql);
  Status migrate(const Schema& schema, Access access);

  std::unique_ptr<sqlite3, Close> connection_;
  std::string path_;
};

}  // namespace tessera
