// SPDX-License-Identifier: Apache-2.0
//
// tessera completion and tessera manual: this program's own description, for
// shells, for man and for docs/commands.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "framework/base/atomic_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/manual/writers.hpp"

namespace tessera::cli {
namespace {

struct ManualOptions {
  std::string folder;  // of pages; empty: the man page
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
  for (const CommandPage& page : pages) {
    if (page.path.empty()) continue;
    std::string name = page.path;
    std::replace(name.begin(), name.end(), ' ', '_');
    TSR_RETURN_IF_ERROR(write_file_atomically(
        (std::filesystem::path(folder) / (name + ".md")).string(),
        markdown_page(page)));
  }
  return {};
}

Status run_manual(CLI::App& tessera, const ManualOptions& options) {
  const std::vector<CommandPage> pages = command_pages(tessera);
  if (!options.folder.empty()) return write_pages(pages, options.folder);
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
  app->footer(
      "Examples:\n"
      "  tessera manual | man -l -\n"
      "  tessera manual --pages docs/commands");
  return {app, [&tessera, options] { return run_manual(tessera, *options); }};
}

}  // namespace tessera::cli
