// SPDX-License-Identifier: Apache-2.0

#include "framework/database/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "framework/database/failure.hpp"

namespace tessera {
namespace {

constexpr int kBusyMs = 10'000;

Status make_folder_of(const std::string& path) {
  const std::filesystem::path folder =
      std::filesystem::path(path).parent_path();
  if (folder.empty()) return {};
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (!code) return {};
  return {TSR_FAILED_PRECONDITION,
          fmt::format("create {}: {}", folder.string(), code.message())};
}

}  // namespace

void Database::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);  // waits for statements that live longer
}

Database::Database(sqlite3* connection, std::string path)
    : connection_(connection), path_(std::move(path)) {}

Result<Database> Database::open(const std::string& path, const Schema& schema,
                                Access access) {
  const bool reads = access == Access::kReadOnly;
  std::error_code code;
  if (reads && !std::filesystem::exists(path, code)) {
    return Status(TSR_NOT_FOUND, path + ": no such file");
  }
  if (!reads) TSR_RETURN_IF_ERROR(make_folder_of(path));
  sqlite3* connection = nullptr;
  const int flags =
      reads ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int opened = sqlite3_open_v2(path.c_str(), &connection,
                                     flags | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(connection, path);  // a failed one must be closed too
  if (opened != SQLITE_OK) return database_failure(connection, opened, path);
  sqlite3_busy_timeout(connection, kBusyMs);
  // A hostile file cannot run code of its schema's.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  TSR_RETURN_IF_ERROR(database.execute("PRAGMA foreign_keys = ON"));
  TSR_RETURN_IF_ERROR(database.migrate(schema, access));
  return database;
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(connection_.get(), sql, -1, &statement, nullptr);
  if (code != SQLITE_OK) {
    return database_failure(connection_.get(), code, path_);
  }
  return Statement(statement, path_);
}

Status Database::execute(const char* sql) {
  const int code =
      sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return database_failure(connection_.get(), code, path_);
}

int64_t Database::last_row_id() const {
  return sqlite3_last_insert_rowid(connection_.get());
}

Status Database::transact(const std::function<Status()>& body) {
  // Immediate: a lock is waited for now, not after work that would be lost.
  TSR_RETURN_IF_ERROR(execute("BEGIN IMMEDIATE"));
  Status status = body();
  if (status.ok()) status = execute("COMMIT");
  // SQLite itself rolls back after some failures.
  if (!status.ok() && sqlite3_get_autocommit(connection_.get()) == 0) {
    sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return status;
}

Status Database::check() {
  TSR_ASSIGN_OR_RETURN(Statement statement,
                       prepare("PRAGMA integrity_check(1)"));
  TSR_ASSIGN_OR_RETURN(const bool has_row, statement.step());
  const std::string found = has_row ? statement.text(0) : "no answer";
  if (found == "ok") return {};
  return {TSR_DATA_LOSS, path_ + ": damaged: " + found};
}

Result<int64_t> Database::pragma(const char* sql) {
  TSR_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  TSR_ASSIGN_OR_RETURN(const bool has_row, statement.step());
  return has_row ? statement.integer(0) : 0;
}

Status Database::migrate(const Schema& schema, Access access) {
  const auto newest = static_cast<int64_t>(schema.steps.size());
  // At one moment: another process may be making the file.
  TSR_RETURN_IF_ERROR(execute("BEGIN"));
  TSR_ASSIGN_OR_RETURN(const int64_t id, pragma("PRAGMA application_id"));
  TSR_ASSIGN_OR_RETURN(const int64_t first, pragma("PRAGMA user_version"));
  TSR_ASSIGN_OR_RETURN(const int64_t tables,
                       pragma("SELECT count(*) FROM sqlite_schema"));
  TSR_RETURN_IF_ERROR(execute("COMMIT"));
  const bool is_new = id == 0 && first == 0 && tables == 0;
  if (!is_new && id != static_cast<int64_t>(schema.application_id)) {
    return {
        TSR_FAILED_PRECONDITION,
        fmt::format("{}: a SQLite database, but no {}", path_, schema.name)};
  }
  if (first > newest) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{}: a {} of version {}; this program knows up to {}",
                        path_, schema.name, first, newest)};
  }
  if (first == newest && !is_new) return {};
  if (access == Access::kReadOnly) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{}: a {} of version {}, not {}: a command that writes "
                        "to it brings it up to date",
                        path_, schema.name, first, newest)};
  }
  return transact([&]() -> Status {
    // Another process may have been faster.
    TSR_ASSIGN_OR_RETURN(const int64_t version, pragma("PRAGMA user_version"));
    for (int64_t step = version; step < newest; ++step) {
      TSR_RETURN_IF_ERROR(execute(schema.steps[static_cast<size_t>(step)]));
    }
    return execute(fmt::format("PRAGMA application_id = {}; "
                               "PRAGMA user_version = {}",
                               schema.application_id, newest)
                       .c_str());
  });
}

}  // namespace tessera
