// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/private_folder.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace tessera {

bool create_private_folder(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return false;
    if (end == std::string::npos) return true;
  }
}

}  // namespace tessera
