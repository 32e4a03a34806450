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

class Buffer {
 public:
  // Errors   throws RESOURCE_EXHAUSTED
  Buffer(const Gpu& gpu, uint64_t bytes, Memory memory);
  // Over memory that the host owns.  Throws UNIMPLEMENTED if the driver takes
  // none, or not this.
  Buffer(const Gpu& gpu, void* memory, uint64_t bytes);
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
  // Throws FAILED_PRECONDITION if the host does not see the buffer.
  char* host() const;

 private:
  void make_buffer(uint64_t bytes, const void* next);
  void bind();

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
};

// The memory type for `memory`; -1 if there is none.
int find_memory_type(const GpuFacts& facts, Memory memory,
                     uint32_t allowed = UINT32_MAX);

}  // namespace tessera::vulkan
