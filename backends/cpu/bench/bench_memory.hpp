// SPDX-License-Identifier: Apache-2.0
//
// Memory as the host gives it to a plugin: aligned, and of large pages, without
// which reading scattered blocks is a matter of page tables.

#pragma once

#include <cstddef>

namespace tessera::cpu {

// Of 2 MiB pages where they can be had, as the host allocates.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  void resize(size_t bytes);
  std::byte* data() { return data_; }

 private:
  std::byte* data_ = nullptr;
};

}  // namespace tessera::cpu
