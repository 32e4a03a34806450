// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/buffer.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

namespace tessera::vulkan {
namespace {

constexpr VkMemoryPropertyFlags kHostFlags =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

int find_type(const GpuFacts& facts, uint32_t allowed,
              VkMemoryPropertyFlags flags) {
  for (uint32_t i = 0; i < facts.memory.memoryTypeCount; ++i) {
    const bool fits =
        (facts.memory.memoryTypes[i].propertyFlags & flags) == flags;
    if ((allowed >> i & 1U) != 0 && fits) return static_cast<int>(i);
  }
  return -1;
}

// `code` says what became of it.
MemoryHandle allocate(VkDevice device, uint64_t bytes, int type,
                      const void* next, VkResult& code) {
  VkMemoryAllocateFlagsInfo flags{};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.pNext = next;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  info.pNext = &flags;
  info.allocationSize = bytes;
  info.memoryTypeIndex = static_cast<uint32_t>(type);
  VkDeviceMemory memory = VK_NULL_HANDLE;
  code = vkAllocateMemory(device, &info, nullptr, &memory);
  return {device, memory};
}

// A driver that runs shaders on a CPU takes memory as the system gives it, in
// pages of 4 KiB, whose addresses cost shaders more than the memory does.
constexpr uint64_t kLargePage = uint64_t{2} << 20;

// What a buffer takes beside its bytes, to begin and to end with a large page;
// small ones have none.
uint64_t large_page_room(const GpuFacts& facts, uint64_t bytes) {
  constexpr uint64_t kFewPages = 2;
  const bool wants_any = facts.is_cpu && bytes >= kFewPages * kLargePage;
  const uint64_t room = wants_any ? 2 * kLargePage : 0;
  return bytes + room <= facts.max_alloc_bytes ? room : 0;
}

// Where the first large page of `memory` begins, having asked for those of
// `bytes` from there on.
uint64_t take_large_pages(char* memory, uint64_t bytes) {
  const uint64_t first =
      (kLargePage - reinterpret_cast<uint64_t>(memory) % kLargePage) %
      kLargePage;
  const uint64_t whole = (bytes + kLargePage - 1) / kLargePage * kLargePage;
  madvise(memory + first, whole, MADV_HUGEPAGE);
  return first;
}

uint64_t next_serial() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

int find_memory_type(const GpuFacts& facts, Memory memory, uint32_t allowed) {
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  const VkMemoryPropertyFlags choices[2][3] = {
      {facts.is_cpu ? kLocal | kHostFlags : kLocal, kLocal, 0},
      {kHostFlags | kCached, kHostFlags, kHostFlags}};
  for (const VkMemoryPropertyFlags flags :
       choices[memory == Memory::kDevice ? 0 : 1]) {
    const int type = find_type(facts, allowed, flags);
    if (type >= 0) return type;
  }
  return -1;
}

void Buffer::take_memory(const Gpu& gpu, uint64_t bytes, Memory memory) {
  const std::string what = "a buffer of " + std::to_string(bytes) + " bytes";
  if (bytes > gpu.facts().max_alloc_bytes) {
    throw sdk::Error(TSR_RESOURCE_EXHAUSTED,
                     what + " is larger than the device's " +
                         std::to_string(gpu.facts().max_alloc_bytes))
        .retry(TSR_RETRY_SMALLER);
  }
  // Whole texels, so that the last bytes can be read as one.
  constexpr uint64_t kTexel = 16;
  make_buffer(gpu,
              std::max<uint64_t>((bytes + kTexel - 1) / kTexel, 1) * kTexel,
              nullptr);
  VkMemoryRequirements needs{};
  vkGetBufferMemoryRequirements(device_, buffer_.get(), &needs);
  const int type = find_memory_type(gpu.facts(), memory, needs.memoryTypeBits);
  if (type < 0) {
    throw sdk::Error(TSR_RESOURCE_EXHAUSTED, what + ": no memory type fits");
  }
  const VkMemoryPropertyFlags flags =
      gpu.facts().memory.memoryTypes[type].propertyFlags;
  const bool maps = !is_staged_ && (flags & kHostFlags) == kHostFlags;
  const uint64_t room = maps ? large_page_room(gpu.facts(), needs.size) : 0;
  VkResult code = VK_SUCCESS;
  memory_ = allocate(device_, needs.size + room, type, nullptr, code);
  check_vk(code, what);
  if (maps) map();
  const uint64_t offset = room > 0 ? take_large_pages(host_, needs.size) : 0;
  if (maps) host_ += offset;
  bind(offset);
}

Buffer::Buffer(const Gpu& gpu, uint64_t bytes, Memory memory)
    : device_(gpu.device()), serial_(next_serial()), bytes_(bytes) {
  take_memory(gpu, bytes, memory);
}

void Buffer::map() {
  void* mapped = nullptr;
  check_vk(vkMapMemory(device_, memory_.get(), 0, VK_WHOLE_SIZE, 0, &mapped),
           "vkMapMemory");
  host_ = static_cast<char*>(mapped);
  is_mapped_ = true;
}

Buffer::Buffer(const Gpu& gpu, void* memory, uint64_t bytes, Staged /*staged*/)
    : device_(gpu.device()),
      serial_(next_serial()),
      bytes_(bytes),
      host_(static_cast<char*>(memory)),
      is_staged_(true) {
  take_memory(gpu, bytes, Memory::kDevice);
}

// Drivers import whole pages: those around the host's bytes.
Buffer::Buffer(const Gpu& gpu, void* memory, uint64_t bytes)
    : device_(gpu.device()),
      serial_(next_serial()),
      bytes_(bytes),
      host_(static_cast<char*>(memory)) {
  const auto refuse = [&](const std::string& why) {
    throw sdk::Error(TSR_UNIMPLEMENTED,
                     "import of " + std::to_string(bytes) + " bytes: " + why);
  };
  if (!gpu.facts().imports_host_memory) {
    refuse("the driver imports no host memory");
  }
  const uint64_t page = gpu.facts().import_alignment;
  const auto begin = reinterpret_cast<uint64_t>(memory);
  origin_ = begin % page;
  const uint64_t whole = (origin_ + bytes + page - 1) / page * page;
  auto* first = static_cast<char*>(memory) - origin_;
  const auto ask = reinterpret_cast<PFN_vkGetMemoryHostPointerPropertiesEXT>(
      vkGetDeviceProcAddr(device_, "vkGetMemoryHostPointerPropertiesEXT"));
  VkMemoryHostPointerPropertiesEXT properties{};
  properties.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT;
  constexpr VkExternalMemoryHandleTypeFlagBits kType =
      VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  if (bytes == 0 || ask == nullptr ||
      ask(device_, kType, first, &properties) != VK_SUCCESS) {
    refuse("the driver does not take this memory");
  }
  VkExternalMemoryBufferCreateInfo external{};
  external.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO;
  external.handleTypes = kType;
  make_buffer(gpu, whole, &external);
  VkMemoryRequirements needs{};
  vkGetBufferMemoryRequirements(device_, buffer_.get(), &needs);
  const int type =
      find_type(gpu.facts(), needs.memoryTypeBits & properties.memoryTypeBits,
                kHostFlags);
  VkImportMemoryHostPointerInfoEXT import{};
  import.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
  import.handleType = kType;
  import.pHostPointer = first;
  if (needs.size > whole) refuse("the driver wants more memory than there is");
  if (type < 0) refuse("no memory type fits");
  VkResult code = VK_SUCCESS;
  memory_ = allocate(device_, whole, type, &import, code);
  if (code == VK_ERROR_INVALID_EXTERNAL_HANDLE) {
    refuse("the driver does not take this memory");
  }
  check_vk(code, "import of host memory");
  bind(0);
}

Buffer::~Buffer() {
  if (is_mapped_) vkUnmapMemory(device_, memory_.get());
}

void Buffer::make_buffer(const Gpu& gpu, uint64_t bytes, const void* next) {
  whole_bytes_ = bytes;
  VkBufferCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.pNext = next;
  info.size = bytes;
  info.usage =
      VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
      VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
      VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
      VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  // Concurrent costs buffers nothing, which unlike images are never compressed
  // for one family; handing them over would cost a submission on both sides.
  const std::vector<uint32_t> families = gpu.plan().families();
  if (families.size() > 1) {
    info.sharingMode = VK_SHARING_MODE_CONCURRENT;
    info.queueFamilyIndexCount = static_cast<uint32_t>(families.size());
    info.pQueueFamilyIndices = families.data();
  }
  VkBuffer buffer = VK_NULL_HANDLE;
  check_vk(vkCreateBuffer(device_, &info, nullptr, &buffer),
           "a buffer of " + std::to_string(bytes) + " bytes");
  buffer_ = {device_, buffer};
}

void Buffer::bind(uint64_t offset) {
  check_vk(vkBindBufferMemory(device_, buffer_.get(), memory_.get(), offset),
           "vkBindBufferMemory");
  VkBufferDeviceAddressInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
  info.buffer = buffer_.get();
  address_ = vkGetBufferDeviceAddress(device_, &info) + origin_;
}

void Buffer::require_range(uint64_t offset, uint64_t bytes) const {
  if (offset <= bytes_ && bytes <= bytes_ - offset) return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, "bytes " + std::to_string(offset) +
                                             " + " + std::to_string(bytes) +
                                             " of a buffer of " +
                                             std::to_string(bytes_));
}

char* Buffer::host() const {
  if (host_ == nullptr) {
    throw sdk::Error(TSR_FAILED_PRECONDITION,
                     "the buffer is in device memory, which the host does not "
                     "see");
  }
  return host_;
}

}  // namespace tessera::vulkan
