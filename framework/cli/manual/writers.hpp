// SPDX-License-Identifier: Apache-2.0
//
// Command pages in the languages of shells and readers.

#pragma once

#include <string>
#include <vector>

#include "framework/cli/manual/command_page.hpp"

namespace tessera::cli {

std::string bash_completion(const std::vector<CommandPage>& pages);
std::string fish_completion(const std::vector<CommandPage>& pages);
std::string zsh_completion(const std::vector<CommandPage>& pages);

// Section 1, for `man tessera`.
std::string man_page(const std::vector<CommandPage>& pages,
                     const std::string& version);

// One command as a page of docs/commands.
std::string markdown_page(const CommandPage& page);

}  // namespace tessera::cli
