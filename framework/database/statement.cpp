// SPDX-License-Identifier: Apache-2.0

#include "framework/database/statement.hpp"

#include <sqlite3.h>

#include <bit>
#include <cstring>
#include <utility>

#include "framework/database/failure.hpp"

namespace tessera {

static_assert(std::endian::native == std::endian::little);

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement::Statement(sqlite3_stmt* statement, std::string path)
    : statement_(statement), path_(std::move(path)) {}

Statement& Statement::note(int code) {
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(int64_t value) {
  return note(sqlite3_bind_int64(statement_.get(), next_++, value));
}

Statement& Statement::bind(double value) {
  return note(sqlite3_bind_double(statement_.get(), next_++, value));
}

Statement& Statement::bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  return note(sqlite3_bind_text64(statement_.get(), next_++, data, text.size(),
                                  SQLITE_TRANSIENT, SQLITE_UTF8));
}

Statement& Statement::bind(std::span<const double> numbers) {
  if (numbers.empty()) {
    return note(sqlite3_bind_zeroblob(statement_.get(), next_++, 0));
  }
  return note(sqlite3_bind_blob64(statement_.get(), next_++, numbers.data(),
                                  numbers.size_bytes(), SQLITE_TRANSIENT));
}

Statement& Statement::bind_null() {
  return note(sqlite3_bind_null(statement_.get(), next_++));
}

Result<bool> Statement::step() {
  sqlite3* const connection = sqlite3_db_handle(statement_.get());
  int code = std::exchange(bind_error_, SQLITE_OK);
  if (code == SQLITE_OK) code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  Status status;
  if (code != SQLITE_DONE) status = database_failure(connection, code, path_);
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  next_ = 1;
  if (!status.ok()) return status;
  return false;
}

Status Statement::run() {
  for (;;) {
    TSR_ASSIGN_OR_RETURN(const bool has_row, step());
    if (!has_row) return {};
  }
}

bool Statement::is_null(int index) const {
  return sqlite3_column_type(statement_.get(), index) == SQLITE_NULL;
}

int64_t Statement::integer(int index) const {
  return sqlite3_column_int64(statement_.get(), index);
}

double Statement::number(int index) const {
  return sqlite3_column_double(statement_.get(), index);
}

std::string Statement::text(int index) const {
  const unsigned char* data = sqlite3_column_text(statement_.get(), index);
  if (data == nullptr) return {};
  const int size = sqlite3_column_bytes(statement_.get(), index);
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(size)};
}

Result<std::vector<double>> Statement::numbers(int index) const {
  const bool is_blob =
      sqlite3_column_type(statement_.get(), index) == SQLITE_BLOB;
  const void* data = sqlite3_column_blob(statement_.get(), index);
  const auto bytes =
      static_cast<size_t>(sqlite3_column_bytes(statement_.get(), index));
  if (!is_blob || bytes % sizeof(double) != 0) {
    return Status(
        TSR_DATA_LOSS,
        path_ + ": damaged: " + sqlite3_column_name(statement_.get(), index) +
            " is no list of numbers");
  }
  std::vector<double> numbers(bytes / sizeof(double));
  if (bytes > 0) std::memcpy(numbers.data(), data, bytes);
  return numbers;
}

}  // namespace tessera
