// SPDX-License-Identifier: Apache-2.0
//
// The tessera command: its subcommands, and how a command line becomes an exit
// code.

#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,    // the work failed, a file or a device is not as it must be,
                  // or a gate was missed
  kWrongUse = 2,  // the command line alone shows that it cannot work
};

// A subcommand and what it does once its options have been read.  The status of
// a failure is what the user sees.
struct Command {
  CLI::App* app = nullptr;
  std::function<Status()> run;
};

// Each adds its subcommand and its options to `tessera`.
Command add_devices_command(CLI::App& tessera);
Command add_inspect_command(CLI::App& tessera);
Command add_run_command(CLI::App& tessera);
Command add_eval_command(CLI::App& tessera);
Command add_compare_command(CLI::App& tessera);
Command add_quantize_command(CLI::App& tessera);
Command add_tune_command(CLI::App& tessera);
Command add_plan_command(CLI::App& tessera);
Command add_bench_command(CLI::App& tessera);
Command add_conform_command(CLI::App& tessera);
Command add_new_plugin_command(CLI::App& tessera);
Command add_report_command(CLI::App& tessera);
Command add_npu_command(CLI::App& tessera);
Command add_plugin_command(CLI::App& tessera);
Command add_serve_command(CLI::App& tessera);
Command add_completion_command(CLI::App& tessera);
Command add_manual_command(CLI::App& tessera);

// All of them.
std::vector<Command> add_commands(CLI::App& tessera);

// Reads the command line and runs what it names.  Results go to stdout; errors,
// one line each, and progress to stderr.  Returns an ExitCode.
int run_command_line(int argc, const char* const* argv);

}  // namespace tessera::cli
