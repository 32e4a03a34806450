// SPDX-License-Identifier: Apache-2.0
//
// A file is a header line, the whole key and the binary.  The key stands in it
// because the file's name is only a hash.

#include "backends/opencl/runtime/binary_cache.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace tessera::opencl {
namespace {

uint64_t fnv1a(const char* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < size; ++i) {
    hash = (hash ^ static_cast<unsigned char>(data[i])) * 0x100000001b3;
  }
  return hash;
}

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx",
                static_cast<unsigned long long>(value));
  return text;
}

// What must stand before the binary in a file that is whole.
std::string header(const std::string& key, const char* data, size_t size) {
  return "tessera-opencl-1 " + std::to_string(key.size()) + " " +
         std::to_string(size) + " " + hex(fnv1a(data, size)) + "\n" + key;
}

}  // namespace

std::string BinaryCache::path(const std::string& key) const {
  return folder_ + "/" + hex(fnv1a(key.data(), key.size())) + ".clbin";
}

std::vector<unsigned char> BinaryCache::load(const std::string& key) const {
  if (folder_.empty()) return {};
  std::ifstream file(path(key), std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const size_t line = all.find('\n');
  if (line == std::string::npos || all.size() - line - 1 < key.size()) {
    return {};
  }
  const size_t start = line + 1 + key.size();
  const size_t size = all.size() - start;
  if (all.compare(0, start, header(key, all.data() + start, size)) != 0) {
    return {};
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(start), all.end()};
}

void BinaryCache::store(const std::string& key,
                        const std::vector<unsigned char>& bytes) const {
  if (folder_.empty()) return;
  std::string draft = folder_ + "/draft-XXXXXX";
  const int handle = mkstemp(draft.data());
  if (handle < 0) return;
  close(handle);
  std::ofstream file(draft, std::ios::binary);
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  file << header(key, data, bytes.size());
  file.write(data, static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(draft, path(key), error);
  if (!file || error) std::filesystem::remove(draft, error);
}

}  // namespace tessera::opencl
