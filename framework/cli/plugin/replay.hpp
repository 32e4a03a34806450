// SPDX-License-Identifier: Apache-2.0
//
// The subcommand for who looks into a report about a plugin.

#pragma once

#include "framework/cli/command.hpp"

namespace tessera::cli {

// Adds `replay` and its options to `tessera`.
Command add_replay_command(CLI::App& tessera);

}  // namespace tessera::cli
