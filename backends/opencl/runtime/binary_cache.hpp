// SPDX-License-Identifier: Apache-2.0
//
// Compiled OpenCL programs on disk: a cold compile costs seconds, and a file
// that was cut off or damaged must cost a compile, never a crash in the driver.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::opencl {

class BinaryCache {
 public:
  // `folder` exists, or is "" for no cache.
  explicit BinaryCache(std::string folder) : folder_(std::move(folder)) {}

  // The bytes stored under `key`, or none where the file is missing, damaged or
  // of another key.
  std::vector<unsigned char> load(const std::string& key) const;

  // Readers see the old file or the new one, whole.  A failure to write is no
  // error: the next start compiles again.
  void store(const std::string& key,
             const std::vector<unsigned char>& bytes) const;

  std::string path(const std::string& key) const;

 private:
  std::string folder_;
};

}  // namespace tessera::opencl
