// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/plugin_error.hpp"

#include <string.h>

namespace tessera {

Status plugin_status(tsr_status code, const tsr_error& error,
                     const std::string& context) {
  if (code == TSR_OK) return {};
  // The text may come without its NUL.
  const std::string said(error.message,
                         strnlen(error.message, sizeof(error.message)));
  return {code, context + ": " + (said.empty() ? status_name(code) : said)};
}

}  // namespace tessera
