// SPDX-License-Identifier: Apache-2.0
//
// The entry point of the command `tessera`.

#include "framework/cli/command.hpp"

int main(int argc, char** argv) {
  return tessera::cli::run_command_line(argc, argv);
}
