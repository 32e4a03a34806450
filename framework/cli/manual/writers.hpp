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

// One command as a page of docs/commands; `pages` are all.
std::string markdown_page(const CommandPage& page,
                          const std::vector<CommandPage>& pages);
// "bench_diff.md"
std::string page_name(const CommandPage& page);
// README.md of docs/commands.
std::string markdown_index(const std::vector<CommandPage>& pages);

}  // namespace tessera::cli
