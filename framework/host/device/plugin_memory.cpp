// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/plugin_memory.hpp"

#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>

namespace tessera {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr uint64_t kChunkBytes = 16 * kHugePage;
// Between these, memory is cut from chunks.  Less is seldom read as a stream.
constexpr uint64_t kSmallBytes = uint64_t{64} << 10;
constexpr uint64_t kLargeBytes = 2 * kHugePage;

// A sanitizer sees the ends of pieces only if each is the system's own.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCutsChunks = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCutsChunks = false;
#else
constexpr bool kCutsChunks = true;
#endif
#else
constexpr bool kCutsChunks = true;
#endif

void* aligned_memory(uint64_t bytes, uint64_t alignment) {
  void* memory = nullptr;
  const uint64_t least = std::max<uint64_t>(alignment, sizeof(void*));
  return posix_memalign(&memory, least, std::max<uint64_t>(bytes, 1)) == 0
             ? memory
             : nullptr;
}

void* huge_pages(uint64_t bytes, uint64_t alignment) {
  void* memory = aligned_memory(bytes, std::max(alignment, kHugePage));
  // Only a wish.
  if (memory != nullptr) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

PluginMemory& PluginMemory::instance() {
  static PluginMemory& memory = *new PluginMemory;
  return memory;
}

void* PluginMemory::alloc(uint64_t bytes, uint64_t alignment) {
  const bool is_power_of_two =
      alignment != 0 && (alignment & (alignment - 1)) == 0;
  if (!is_power_of_two || bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX) {
    return nullptr;
  }
  if (bytes >= kLargeBytes) return huge_pages(bytes, alignment);
  if (!kCutsChunks || bytes < kSmallBytes || alignment > kHugePage) {
    return aligned_memory(bytes, alignment);
  }
  const std::lock_guard lock(mutex_);
  return cut(bytes, alignment);
}

void* PluginMemory::cut(uint64_t bytes, uint64_t alignment) {
  const auto begin_in = [&](char* chunk) {
    return (chunks_[chunk].used + alignment - 1) / alignment * alignment;
  };
  if (current_ == nullptr || begin_in(current_) + bytes > kChunkBytes) {
    auto* memory = static_cast<char*>(huge_pages(kChunkBytes, kHugePage));
    if (memory == nullptr) return nullptr;
    current_ = memory;
    chunks_[memory] = {};
  }
  Chunk& chunk = chunks_[current_];
  const uint64_t begin = begin_in(current_);
  chunk.used = begin + bytes;
  ++chunk.num_pieces;
  pieces_[current_ + begin] = current_;
  return current_ + begin;
}

void PluginMemory::free(void* memory) {
  {
    const std::lock_guard lock(mutex_);
    const auto piece = pieces_.find(memory);
    if (piece != pieces_.end()) {
      char* chunk = piece->second;
      pieces_.erase(piece);
      if (--chunks_[chunk].num_pieces != 0) return;
      chunks_.erase(chunk);
      if (chunk == current_) current_ = nullptr;
      memory = chunk;
    }
  }
  ::free(memory);
}

uint64_t PluginMemory::num_chunks() const {
  const std::lock_guard lock(mutex_);
  return chunks_.size();
}

}  // namespace tessera
