// SPDX-License-Identifier: Apache-2.0
//
// The subcommands of `tessera bench`.

#pragma once

#include "framework/cli/command.hpp"

namespace tessera::cli {

Command add_bench_ops_command(CLI::App& bench);
Command add_bench_model_command(CLI::App& bench);
Command add_bench_list_command(CLI::App& bench);
Command add_bench_show_command(CLI::App& bench);
Command add_bench_diff_command(CLI::App& bench);
Command add_bench_export_command(CLI::App& bench);
Command add_bench_merge_command(CLI::App& bench);

}  // namespace tessera::cli
