// SPDX-License-Identifier: Apache-2.0

#include "framework/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace tessera {
namespace {

spdlog::level::level_enum to_spdlog(uint32_t level) {
  switch (level) {
    case TSR_LOG_DEBUG:
      return spdlog::level::debug;
    case TSR_LOG_INFO:
      return spdlog::level::info;
    case TSR_LOG_WARNING:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("tessera",
                        std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.set_level(spdlog::level::warn);
    made.set_pattern("tessera %l: %v");
    return made;
  }();
  return instance;
}

}  // namespace

void log(uint32_t level, std::string_view message) {
  logger().log(to_spdlog(level), "{}", message);
}

void set_log_level(uint32_t level) { logger().set_level(to_spdlog(level)); }

}  // namespace tessera
