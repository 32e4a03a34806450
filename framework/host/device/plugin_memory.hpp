// SPDX-License-Identifier: Apache-2.0
//
// Memory for plugins, of 2 MiB pages where the machine has them: weights are
// read through it at every step, half as fast again as from small pages.

#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace tessera {

// Hands out memory.  What is too small for pages of its own shares them: it is
// cut from chunks, which are freed with the last piece.
//
// Threads  any
class PluginMemory {
 public:
  // The one of this process, never destroyed.
  static PluginMemory& instance();

  PluginMemory() = default;
  PluginMemory(const PluginMemory&) = delete;
  PluginMemory& operator=(const PluginMemory&) = delete;

  // Null if there is no memory or `alignment` is not a power of two.
  void* alloc(uint64_t bytes, uint64_t alignment);
  // Takes what alloc gave, or null.
  void free(void* memory);

  // Chunks in use.
  uint64_t num_chunks() const;

 private:
  struct Chunk {
    uint64_t used = 0;  // bytes from its start, freed pieces included
    uint64_t num_pieces = 0;
  };

  void* cut(uint64_t bytes, uint64_t alignment);

  mutable std::mutex mutex_;
  std::unordered_map<char*, Chunk> chunks_;
  std::unordered_map<void*, char*> pieces_;  // to their chunks
  char* current_ = nullptr;                  // the chunk that pieces come from
};

}  // namespace tessera
