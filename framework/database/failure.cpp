// SPDX-License-Identifier: Apache-2.0

#include "framework/database/failure.hpp"

#include <sqlite3.h>

namespace tessera {
namespace {

tsr_status status_of(int code) {
  switch (code & 0xff) {  // the rest tells variants apart
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return TSR_DATA_LOSS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return TSR_RESOURCE_EXHAUSTED;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      return TSR_INVALID_ARGUMENT;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
      return TSR_FAILED_PRECONDITION;
    default:
      return TSR_INTERNAL;
  }
}

}  // namespace

Status database_failure(sqlite3* connection, int code,
                        const std::string& path) {
  // The connection's own message says more, but is of its last call.
  const bool is_last = connection != nullptr &&
                       (sqlite3_errcode(connection) & 0xff) == (code & 0xff);
  const std::string reason =
      is_last ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return {TSR_DATA_LOSS, path + ": not a SQLite database"};
    case SQLITE_CORRUPT:
      return {TSR_DATA_LOSS, path + ": damaged: " + reason};
    case SQLITE_BUSY:
      return {TSR_RESOURCE_EXHAUSTED,
              path + ": another process is writing to it: " + reason};
    default:
      return {status_of(code), path + ": " + reason};
  }
}

}  // namespace tessera
