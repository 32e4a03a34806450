// SPDX-License-Identifier: Apache-2.0
//
// What SQLite's codes mean to the framework.

#pragma once

#include <string>

#include "framework/base/status.hpp"

struct sqlite3;

namespace tessera {

// "<path>: <what went wrong>"; `connection` may be null.
Status database_failure(sqlite3* connection, int code, const std::string& path);

}  // namespace tessera
