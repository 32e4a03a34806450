// SPDX-License-Identifier: Apache-2.0
//
// A file of the host's cache folder that is read whole or not at all, however
// many processes write it.

#pragma once

#include <string>

namespace tessera::vulkan {

// Any thread.
class CacheFile {
 public:
  // The file is `folder`/`key`; with no folder, "", there is none.
  CacheFile(const std::string& folder, std::string key);

  // What was last stored under this key; "" if that was nothing, or the file is
  // not as `store` leaves it.
  std::string load() const;
  // A failure is no error: the next start does the work again.
  void store(const std::string& bytes) const noexcept;

 private:
  std::string folder_;
  std::string key_;
};

}  // namespace tessera::vulkan
