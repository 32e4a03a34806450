// SPDX-License-Identifier: Apache-2.0
//
// tessera npu launches: each launch of a model, fed the oracle's inputs.

#pragma once

#include <CLI/App.hpp>

#include "framework/cli/command.hpp"

namespace tessera::cli {

Command add_npu_launches_command(CLI::App& npu);

}  // namespace tessera::cli
