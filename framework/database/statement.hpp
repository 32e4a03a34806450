// SPDX-License-Identifier: Apache-2.0
//
// One SQL statement, prepared: values are bound, never pasted into its text.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

struct sqlite3_stmt;

namespace tessera {

// Made by Database::prepare(), which must outlive it.  A value that could not
// be bound is reported by the next step().
class Statement {
 public:
  // The next unbound ?, from the left; step() to the end starts anew.
  Statement& bind(int64_t value);
  Statement& bind(double value);
  Statement& bind(std::string_view text);
  Statement& bind(std::span<const double> numbers);  // as a blob, little-endian
  Statement& bind_null();

  // True if there is a row to read; false at the end, after which the statement
  // may be bound and run again.
  //
  // Errors  INVALID_ARGUMENT if a constraint is broken; DATA_LOSS if the file
  //         is damaged; RESOURCE_EXHAUSTED if it stays locked or the disk is
  //         full
  Result<bool> step();
  // Runs a statement that returns no rows, or whose rows nobody wants.
  Status run();

  // Column `index` of the row, from 0; a value of another type is converted as
  // SQL does, NULL is 0 or empty.
  bool is_null(int index) const;
  int64_t integer(int index) const;
  double number(int index) const;
  std::string text(int index) const;
  // Errors  DATA_LOSS if it is no blob of whole numbers
  Result<std::vector<double>> numbers(int index) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  Statement(sqlite3_stmt* statement, std::string path);
  Statement& note(int code);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
  int next_ = 1;
  int bind_error_ = 0;
};

}  // namespace tessera
