// SPDX-License-Identifier: Apache-2.0
//
// tessera completion and tessera manual: this program's own description, for
// shells, for man and for docs/commands.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "framework/base/atomic_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json/output_shapes.hpp"
#include "framework/cli/manual/writers.hpp"

namespace tessera::cli {
namespace {

struct ManualOptions {
  std::string folder;       // of pages; empty: the man page
  std::string json_page;    // what --json prints, as Markdown
  std::string json_schema;  // the same as a JSON Schema: its command
};

void print_completion(CLI::App& tessera, const std::string& shell) {
  const std::vector<CommandPage> pages = command_pages(tessera);
  if (shell == "bash") {
    write_out(bash_completion(pages));
  } else {
    write_out(shell == "fish" ? fish_completion(pages) : zsh_completion(pages));
  }
}

Status write_pages(const std::vector<CommandPage>& pages,
                   const std::string& folder) {
  const std::filesystem::path root(folder);
  for (const CommandPage& page : pages) {
    if (page.path.empty()) continue;
    TSR_RETURN_IF_ERROR(write_file_atomically((root / page_name(page)).string(),
                                              markdown_page(page, pages)));
  }
  TSR_RETURN_IF_ERROR(write_file_atomically((root / "README.md").string(),
                                            markdown_index(pages)));
  return {};
}

Status print_schema(const std::string& command) {
  const OutputShape* const shape = find_output_shape(command);
  if (shape != nullptr) {
    write_out(json_text(json_schema_of(*shape)));
    return {};
  }
  std::string commands;
  for (const OutputShape& known : output_shapes()) {
    commands += (commands.empty() ? "" : ", ") + known.command;
  }
  return {TSR_NOT_FOUND,
          fmt::format("--json-schema {}: there are {}", command, commands)};
}

Status run_manual(CLI::App& tessera, const ManualOptions& options) {
  const std::vector<CommandPage> pages = command_pages(tessera);
  if (!options.folder.empty()) return write_pages(pages, options.folder);
  if (!options.json_page.empty()) {
    return write_file_atomically(options.json_page, json_page());
  }
  if (!options.json_schema.empty()) return print_schema(options.json_schema);
  write_out(man_page(pages, TSR_VERSION));
  return {};
}

}  // namespace

Command add_completion_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "completion", "Print a script that completes commands in a shell");
  auto shell = std::make_shared<std::string>();
  app->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
  app->footer(
      "Examples:\n"
      "  source <(tessera completion bash)\n"
      "  tessera completion fish > ~/.config/fish/completions/tessera.fish");
  return {app, [&tessera, shell]() -> Status {
            print_completion(tessera, *shell);
            return {};
          }};
}

Command add_manual_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "manual", "Print the man page, or write a page for each command");
  auto options = std::make_shared<ManualOptions>();
  app->add_option("--pages", options->folder,
                  "Write a Markdown page for each command here instead")
      ->type_name("FOLDER");
  app->add_option("--json-page", options->json_page,
                  "Write the page of what --json prints here instead")
      ->type_name("FILE");
  app->add_option("--json-schema", options->json_schema,
                  "Print the JSON Schema of what a command prints with --json "
                  "instead: \"bench ops\"")
      ->type_name("COMMAND");
  app->footer(
      "Examples:\n"
      "  tessera manual | man -l -\n"
      "  tessera manual --pages docs/commands\n"
      "  tessera manual --json-page docs/json.md\n"
      "  tessera manual --json-schema 'bench ops'");
  return {app, [&tessera, options] { return run_manual(tessera, *options); }};
}

}  // namespace tessera::cli
