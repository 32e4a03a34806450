// SPDX-License-Identifier: Apache-2.0
//
// tessera bench: the same work on every device.

#include "framework/cli/bench/bench.hpp"

#include <utility>
#include <vector>

namespace tessera::cli {

Command add_bench_command(CLI::App& tessera) {
  CLI::App* bench =
      tessera.add_subcommand("bench", "Time the same work on every device");
  bench->require_subcommand(1);
  std::vector<Command> commands = {
      add_bench_ops_command(*bench),  add_bench_model_command(*bench),
      add_bench_list_command(*bench), add_bench_show_command(*bench),
      add_bench_diff_command(*bench), add_bench_export_command(*bench),
      add_bench_merge_command(*bench)};
  return {bench, [commands = std::move(commands)]() -> Status {
            for (const Command& command : commands) {
              if (command.app->parsed()) return command.run();
            }
            return {};
          }};
}

}  // namespace tessera::cli
