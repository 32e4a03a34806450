// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/date.hpp"

#include <fmt/format.h>

#include <ctime>

namespace tessera::cli {

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm date{};
  gmtime_r(&now, &date);
  return fmt::format("{:04}-{:02}-{:02}", date.tm_year + 1900, date.tm_mon + 1,
                     date.tm_mday);
}

}  // namespace tessera::cli
