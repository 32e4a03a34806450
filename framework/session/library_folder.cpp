// SPDX-License-Identifier: Apache-2.0

#include "framework/session/library_folder.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace tessera {

// Lines of /proc/self/maps: "begin-end rwxp offset device inode   path".
// Source: Linux, Documentation/filesystems/proc.rst
std::string library_folder() {
  const auto here = reinterpret_cast<uintptr_t>(&library_folder);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    if (here < begin || here >= end) continue;
    const size_t path = line.find('/');
    if (path == std::string::npos) return {};
    return std::filesystem::path(line.substr(path)).parent_path().string();
  }
  return {};
}

}  // namespace tessera
