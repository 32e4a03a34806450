// SPDX-License-Identifier: Apache-2.0
//
// tessera/error.hpp - the edge where exceptions end: plugin code throws
// tessera::sdk::Error, guard() turns it into a status.

#pragma once

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "tessera/types.h"

namespace tessera::sdk {

// What plugin code throws to choose the code the host will see.
class Error : public std::exception {
 public:
  Error(tsr_status code, std::string message)
      : code_(code), message_(std::move(message)) {}

  // What the host may do about it (TSR_RETRY_* and what follows), and the
  // driver's own code.
  Error& retry(uint32_t retry, int64_t native_code = 0) {
    retry_ = retry;
    native_code_ = native_code;
    return *this;
  }

  tsr_status code() const noexcept { return code_; }
  uint32_t retry() const noexcept { return retry_; }
  int64_t native_code() const noexcept { return native_code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  tsr_status code_;
  uint32_t retry_ = TSR_RETRY_NEVER;
  int64_t native_code_ = 0;
  std::string message_;
};

namespace detail {

// Fills `out` no further than its owner's struct_size: an older host may have
// been compiled with a shorter struct.
template <typename Struct>
void copy_out(const Struct& value, Struct* out) {
  const uint32_t owner_size = out->struct_size;
  const auto* from = reinterpret_cast<const char*>(&value);
  auto* to = reinterpret_cast<char*>(out);
  for (uint32_t i = sizeof(uint32_t); i < owner_size && i < sizeof(value);
       ++i) {
    to[i] = from[i];
  }
}

inline tsr_status fail(tsr_error* err, const Error& error) {
  if (err != nullptr) {
    tsr_error value{};
    value.retry = error.retry();
    value.native_code = error.native_code();
    std::snprintf(value.message, sizeof(value.message), "%s", error.what());
    copy_out(value, err);
  }
  return error.code();
}

// Runs `body` and returns TSR_OK, or what it threw as a status.
template <typename Body>
tsr_status guard(tsr_error* err, Body&& body) noexcept {
  try {
    body();
    return TSR_OK;
  } catch (const Error& error) {
    return fail(err, error);
  } catch (const std::bad_alloc&) {
    return fail(err, Error(TSR_RESOURCE_EXHAUSTED, "out of host memory")
                         .retry(TSR_RETRY_SMALLER));
  } catch (const std::exception& error) {
    return fail(err, Error(TSR_INTERNAL, error.what()));
  } catch (...) {
    return fail(err, Error(TSR_INTERNAL, "unknown exception"));
  }
}

}  // namespace detail
}  // namespace tessera::sdk
