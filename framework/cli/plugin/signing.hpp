// SPDX-License-Identifier: Apache-2.0
//
// tessera plugin sign, certify, verify and make-key: who vouches for a plugin.

#pragma once

#include <CLI/App.hpp>
#include <string>

#include "framework/base/status.hpp"

namespace tessera::cli {

// Of all subcommands of `tessera plugin`.
struct PluginOptions {
  std::string plugin;
  std::string key;   // a file
  std::string keys;  // a list
  bool json = false;
};

// Adds the positional PLUGIN.
void add_plugin(CLI::App& app, PluginOptions& options);
// Adds the subcommands.
void add_signing_commands(CLI::App& plugin, PluginOptions& options);

// Requires  one of them was given
Status run_signing(const CLI::App& plugin, const PluginOptions& options);

}  // namespace tessera::cli
