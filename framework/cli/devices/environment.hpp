// SPDX-License-Identifier: Apache-2.0
//
// What a bug report needs to know about this machine and this build.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/cli/json_output.hpp"

namespace tessera::cli {

struct Environment {
  std::string os;      // "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;  // "Linux 6.1.0 x86_64"
  std::string cpu;
  uint32_t cores = 0;            // that this process may use
  std::vector<std::string> isa;  // vector extensions, as the kernel spells them
  uint64_t memory_bytes = 0;
  std::string compiler;
  std::string build_type;
  std::string tessera_version;
  std::string commit;  // that this program was built from, or "unknown"
  std::string abi_version;
  std::vector<std::pair<std::string, std::string>> libraries;
  std::vector<std::string> plugin_folders;
  std::string cache_folder;
};

Environment read_environment();

// The keys of docs/json.md.
Json environment_json(const Environment& environment);

// What tells this machine from others, whatever system is on it: processor,
// usable cores, memory, and the system's id of the machine, hashed.
std::string machine_fingerprint(const Environment& environment);

// The command line of this process as a shell takes it; empty if unknown.
std::string own_command_line();

// The value of `key` in lines of "key<separator>value", without quotes and
// spaces around it; empty if there is none.
std::string find_value(std::string_view lines, std::string_view key,
                       char separator);

// Those words of a "flags" line of /proc/cpuinfo that kernels care about.
std::vector<std::string> vector_extensions(std::string_view flags);

}  // namespace tessera::cli
