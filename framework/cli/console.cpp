// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/console.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tessera::cli {

void write_out(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void write_err(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

Status flush_out() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return {TSR_RESOURCE_EXHAUSTED,
          std::string("cannot write to stdout: ") + std::strerror(errno)};
}

}  // namespace tessera::cli
