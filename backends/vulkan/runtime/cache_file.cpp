// SPDX-License-Identifier: Apache-2.0
//
// A line with the key, the size and a hash of what follows: a driver believes
// what it is given, so bytes that a disk or another program changed must not
// reach it.

#include "backends/vulkan/runtime/cache_file.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace tessera::vulkan {
namespace {

uint64_t fnv1a(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }
  return hash;
}

std::string header(const std::string& key, const std::string& bytes) {
  return "tessera-vulkan-1 " + key + " " + std::to_string(bytes.size()) + " " +
         std::to_string(fnv1a(bytes)) + "\n";
}

// By rename from a name that nobody else has, so that readers see a whole file.
void replace_file(const std::string& folder, const std::string& key,
                  const std::string& bytes) {
  std::string draft = folder + "/draft-XXXXXX";
  const int handle = mkstemp(draft.data());
  if (handle < 0) return;
  close(handle);
  std::ofstream file(draft, std::ios::binary);
  file << header(key, bytes) << bytes;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(draft, folder + "/" + key, error);
  if (!file || error) std::filesystem::remove(draft, error);
}

}  // namespace

CacheFile::CacheFile(const std::string& folder, std::string key)
    : folder_(folder), key_(std::move(key)) {}

std::string CacheFile::load() const {
  if (folder_.empty()) return "";
  std::ifstream file(folder_ + "/" + key_, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();  // throws nothing where it cannot be read
  const std::string all = text.str();
  const size_t line = all.find('\n');
  if (line == std::string::npos) return "";
  std::string bytes = all.substr(line + 1);
  return all.compare(0, line + 1, header(key_, bytes)) == 0 ? bytes : "";
}

void CacheFile::store(const std::string& bytes) const noexcept {
  if (folder_.empty()) return;
  try {
    replace_file(folder_, key_, bytes);
  } catch (const std::exception&) {  // out of memory
    return;
  }
}

}  // namespace tessera::vulkan
