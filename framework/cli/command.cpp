// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/command.hpp"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "framework/cli/console.hpp"
#include "framework/cli/plugin/replay.hpp"
#include "tessera/types.h"

namespace tessera::cli {
namespace {

std::string version_text() {
  return fmt::format("tessera {} (plugin ABI {}.{})", TSR_VERSION,
                     TSR_ABI_MAJOR, TSR_ABI_MINOR);
}

void print_error(const std::string& who, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  write_err(who + ": " + message + "\n");
}

// CLI11's message in our style: lower case, no full stop.
std::string explain(const CLI::ParseError& error) {
  std::string message = error.what();
  while (!message.empty() &&
         (message.back() == '.' || message.back() == '\n')) {
    message.pop_back();
  }
  const bool is_word = message.size() > 1 &&
                       std::islower(static_cast<unsigned char>(message[1]));
  if (is_word) {
    message[0] =
        static_cast<char>(std::tolower(static_cast<unsigned char>(message[0])));
  }
  return message;
}

// The subcommand that the user meant: errors are reported in its name.
std::string name_of_use(const std::vector<Command>& commands, int argc,
                        const char* const* argv) {
  const bool known =
      argc > 1 && std::any_of(commands.begin(), commands.end(),
                              [argv](const Command& command) {
                                return command.app->get_name() == argv[1];
                              });
  return known ? std::string("tessera ") + argv[1] : "tessera";
}

// A word that is no command is the likeliest mistake; CLI11 would call it an
// argument that was not expected.
std::string explain_at(const CLI::App& tessera, const CLI::ParseError& error,
                       const std::string& who, const char* const* argv) {
  if (who != "tessera" || argv[1][0] == '-') return explain(error);
  std::string names;
  for (const CLI::App* command : tessera.get_subcommands(nullptr)) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return fmt::format("no command {}: choose {}", argv[1], names);
}

int run(const CLI::App& tessera, const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    Status status = command.run();
    const Status flushed = flush_out();
    if (status.ok()) status = flushed;
    if (status.ok()) return kDone;
    print_error("tessera " + command.app->get_name(), status.message());
    return kFailed;
  }
  write_out(tessera.help());
  return kDone;
}

}  // namespace

std::vector<Command> add_commands(CLI::App& tessera) {
  return {add_devices_command(tessera),    add_inspect_command(tessera),
          add_run_command(tessera),        add_eval_command(tessera),
          add_compare_command(tessera),    add_quantize_command(tessera),
          add_tune_command(tessera),       add_plan_command(tessera),
          add_bench_command(tessera),      add_report_command(tessera),
          add_conform_command(tessera),    add_new_plugin_command(tessera),
          add_npu_command(tessera),        add_serve_command(tessera),
          add_completion_command(tessera), add_manual_command(tessera),
          add_plugin_command(tessera),     add_replay_command(tessera)};
}

int run_command_line(int argc, const char* const* argv) {
  CLI::App tessera(
      "Runs quantized transformers across unlike hardware; each kind of "
      "hardware is a plugin.",
      "tessera");
  tessera.set_version_flag("--version", version_text());
  tessera.require_subcommand(0, 1);
  tessera.footer("tessera COMMAND --help explains a command.");
  const std::vector<Command> commands = add_commands(tessera);

  // The edge where CLI11's exceptions end.
  try {
    tessera.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return tessera.exit(asked);
  } catch (const CLI::ParseError& error) {
    const std::string who = name_of_use(commands, argc, argv);
    print_error(who, explain_at(tessera, error, who, argv) + "; see " + who +
                         " --help");
    return kWrongUse;
  }
  return run(tessera, commands);
}

}  // namespace tessera::cli
