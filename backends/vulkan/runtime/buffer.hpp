// SPDX-License-Identifier: Apache-2.0
//
// Memory of a device, known to shaders by its address, so that no limit on the
// range of a binding applies.

#pragma once

#include <cstdint>

#include "backends/vulkan/runtime/gpu.hpp"

namespace tessera::vulkan {

enum class Memory {
  kDevice,  // fastest; the host may see it
  kHost,    // the host sees it, coherent
};

// Of a buffer whose bytes the host has in memory of its own.
struct Staged {};

class Buffer {
 public:
  // Errors   throws RESOURCE_EXHAUSTED
  Buffer(const Gpu& gpu, uint64_t bytes, Memory memory);
  // Over memory that the host owns.  Throws UNIMPLEMENTED if the driver takes
  // none, or not this.
  Buffer(const Gpu& gpu, void* memory, uint64_t bytes);
  // The device's memory beside `memory`, which the host owns: whoever uses the
  // buffer copies what it needs by the StagingRing.
  //
  // Errors   as the first
  Buffer(const Gpu& gpu, void* memory, uint64_t bytes, Staged);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  VkBuffer buffer() const { return buffer_.get(); }
  uint64_t bytes() const { return bytes_; }
  // Where byte 0 lies in buffer(), and for shaders.
  uint64_t origin() const { return origin_; }
  uint64_t address() const { return address_; }
  // No other buffer of this process ever has it.
  uint64_t serial() const { return serial_; }
  // Of buffer(), at least origin() + bytes().
  uint64_t whole_bytes() const { return whole_bytes_; }
  // Throws INVALID_ARGUMENT if the range is not inside.
  void require_range(uint64_t offset, uint64_t bytes) const;
  bool is_host_visible() const { return host_ != nullptr; }
  // True if host() is not the memory that the device has.
  bool is_staged() const { return is_staged_; }
  // Throws FAILED_PRECONDITION if the host does not see the buffer.
  char* host() const;

 private:
  void take_memory(const Gpu& gpu, uint64_t bytes, Memory memory);
  void map();
  void make_buffer(const Gpu& gpu, uint64_t bytes, const void* next);
  void bind(uint64_t offset);  // of the memory

  VkDevice device_;
  uint64_t serial_;
  uint64_t bytes_;
  uint64_t origin_ = 0;
  uint64_t address_ = 0;
  uint64_t whole_bytes_ = 0;
  MemoryHandle memory_;  // outlives the buffer
  BufferHandle buffer_;
  char* host_ = nullptr;
  bool is_mapped_ = false;
  bool is_staged_ = false;
};

// Bytes from `offset` on.
struct BufferRange {
  const Buffer* buffer;
  uint64_t offset;
};

// Ranges that do not overlap.
struct BufferCopy {
  BufferRange from;
  BufferRange to;
  uint64_t bytes;
};

// The memory type for `memory`; -1 if there is none.
int find_memory_type(const GpuFacts& facts, Memory memory,
                     uint32_t allowed = UINT32_MAX);

}  // namespace tessera::vulkan
