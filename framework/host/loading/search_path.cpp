// SPDX-License-Identifier: Apache-2.0

#include "framework/host/loading/search_path.hpp"

#include <stdlib.h>
#include <sys/auxv.h>

#include "framework/base/log.hpp"
#include "framework/host/trust/trust.hpp"

namespace tessera {
namespace {

constexpr const char* kVariable = "TESSERA_PLUGIN_PATH";

std::string variable() {
  if (getauxval(AT_SECURE) != 0) return "";
  const char* value = getenv(kVariable);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

}  // namespace

std::vector<std::string> split_search_path(std::string_view list) {
  std::vector<std::string> folders;
  while (!list.empty()) {
    const size_t colon = list.find(':');
    const std::string folder(list.substr(0, colon));
    list.remove_prefix(colon == std::string_view::npos ? list.size()
                                                       : colon + 1);
    if (folder.empty()) continue;
    if (folder[0] == '/') {
      folders.push_back(folder);
    } else {
      log(TSR_LOG_WARNING, std::string(kVariable) + ": " + folder +
                               " is not an absolute folder; left out");
    }
  }
  return folders;
}

std::vector<std::string> plugin_search_path() {
  std::vector<std::string> folders;
  const std::string here = executable_folder();
  if (!here.empty()) {
    folders.push_back(here + "/../plugins");
    folders.push_back(here + "/../lib/tessera/plugins");
  }
  for (std::string& folder : split_search_path(variable())) {
    folders.push_back(std::move(folder));
  }
  return folders;
}

}  // namespace tessera
