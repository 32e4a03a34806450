// SPDX-License-Identifier: Apache-2.0
//
// Status and Result: how every fallible function in framework/ reports failure.

#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "tessera/types.h"

namespace tessera {

// A code and, unless it is OK, one line for a person to read.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(tsr_status code, std::string message)
      : code_(code), message_(std::move(message)) {
    assert(code != TSR_OK);
  }

  bool ok() const { return code_ == TSR_OK; }
  tsr_status code() const { return code_; }
  const std::string& message() const { return message_; }

  // Prefixes the message with where the failure passed through, outermost
  // first: "load plugin x.so: abi 2 is not 1".
  Status annotate(const std::string& context) && {
    if (!ok()) message_ = context + ": " + message_;
    return std::move(*this);
  }

 private:
  tsr_status code_ = TSR_OK;
  std::string message_;
};

// "INVALID_ARGUMENT" for TSR_INVALID_ARGUMENT; "code 77" for an unknown one.
std::string status_name(tsr_status code);

// A T, or the Status that explains why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(*-explicit-*)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(*-explicit-*)
    assert(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

  // The same failure seen from further out; see Status::annotate.
  Result annotate(const std::string& context) && {
    if (!ok()) return std::move(status_).annotate(context);
    return std::move(*this);
  }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace tessera

// Returns from the enclosing function if `expr` is not OK.
#define TSR_RETURN_IF_ERROR(expr)                      \
  if (::tessera::Status tsr_s = (expr); !tsr_s.ok()) { \
    return tsr_s;                                      \
  }

// The arguments are names and a declaration, which take no parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define TSR_CONCAT_INNER(a, b) a##b
#define TSR_CONCAT(a, b) TSR_CONCAT_INNER(a, b)

// `TSR_ASSIGN_OR_RETURN(const Config config, read_config(path));` declares the
// variable, or returns the failure from the enclosing function.
#define TSR_ASSIGN_OR_RETURN(declaration, expr) \
  TSR_ASSIGN_OR_RETURN_AS(TSR_CONCAT(tsr_result_, __LINE__), declaration, expr)
#define TSR_ASSIGN_OR_RETURN_AS(result, declaration, expr) \
  auto result = (expr);                                    \
  if (!result.ok()) return std::move(result).status();     \
  declaration = std::move(*result)
// NOLINTEND(bugprone-macro-parentheses)
