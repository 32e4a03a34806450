// SPDX-License-Identifier: Apache-2.0
//
// A file seen as memory, so that a model is never copied to be read.

#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "framework/base/status.hpp"

namespace tessera {

// A read-only private mapping of a whole regular file.  Unmaps when destroyed.
class MappedFile {
 public:
  // Errors: NOT_FOUND, naming the path and the reason, if it cannot be opened;
  //         INVALID_ARGUMENT if it is not a regular file.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // Empty for an empty file.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

// For passes over files larger than memory.  Both are hints for those bytes
// that lie in a living MappedFile, and touch no other memory.  Any thread.

// Begins to read what is needed next.
void prefetch_mapped(std::span<const std::byte> bytes);

// Gives memory back; the bytes can be read again, from the file.
void release_mapped(std::span<const std::byte> bytes);

}  // namespace tessera
