// SPDX-License-Identifier: Apache-2.0
//
// Text on stdout and stderr.  Nothing throws; a write to stdout that failed is
// noticed once, at the end.

#pragma once

#include <string_view>

#include "framework/base/status.hpp"

namespace tessera::cli {

void write_out(std::string_view text);
void write_err(std::string_view text);

// Everything written so far reaches its reader.
// Errors: RESOURCE_EXHAUSTED if something written to stdout got lost.
Status flush_out();

}  // namespace tessera::cli
