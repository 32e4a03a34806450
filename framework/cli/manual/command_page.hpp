// SPDX-License-Identifier: Apache-2.0
//
// Commands and options as data: what completions, the man page and the pages of
// docs/commands are written from.

#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace tessera::cli {

struct OptionEntry {
  std::vector<std::string> names;  // "--device", "-p"; none of a positional
  std::string positional;          // "MODEL"; empty of others
  std::string value;               // "DEVICE"; empty of a flag
  std::string help;
  std::vector<std::string> choices;  // all values there are; empty: any

  bool takes_value() const { return positional.empty() && !value.empty(); }
  bool takes_path() const;
};

struct CommandPage {
  std::string path;  // "bench ops"; empty of tessera itself
  std::string description;
  std::vector<OptionEntry> options;
  std::vector<std::string> subcommands;  // their names
  std::string footer;
  std::string help;  // what --help prints
};

// tessera itself, then every command, each before its subcommands.
std::vector<CommandPage> command_pages(CLI::App& tessera);
// Of a command line that nobody has typed.
std::vector<CommandPage> all_command_pages();

}  // namespace tessera::cli
