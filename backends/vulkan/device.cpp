// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/device.hpp"

#include <string>
#include <utility>

#include "backends/vulkan/program.hpp"
#include "backends/vulkan/queue.hpp"
#include "backends/vulkan/weights.hpp"
#include "tessera/capability.hpp"
#include "tessera/kv_layout.hpp"
#include "tessera/rows/kernel_rows.hpp"

namespace tessera::vulkan {
namespace {

// Large enough that a copy outlasts its submission, and little memory.
constexpr uint64_t kSlotBytes = uint64_t{4} << 20;
constexpr uint32_t kSlots = 4;

std::string cache_folder(const tsr_host_services& host) {
  return host.cache_folder == nullptr ? "" : host.cache_folder;
}

}  // namespace

VulkanDevice::VulkanDevice(const tsr_host_services& host,
                           const DeviceEntry& entry, const Features& features)
    : sdk::HostMemoryDevice(host),
      entry_(entry),
      features_(features),
      gpu_(*entry.facts, plan_queues(*entry.facts, features),
           features.timeout_ns),
      pipelines_(gpu_, cache_folder(host), features),
      ring_(gpu_, kSlotBytes, kSlots) {}

VulkanDevice::~VulkanDevice() = default;

std::vector<tsr_refusal> VulkanDevice::check(
    const sdk::ProgramQuestion& question) {
  return sdk::check_against(sdk::rows::kernel_rows(), question);
}

// ---- Buffers

void VulkanDevice::copy(uint32_t lane, const BufferRange& from,
                        const BufferRange& to, uint64_t bytes) {
  if (bytes == 0) return;
  // Vulkan copies no ranges that overlap, so one buffer goes by way of another.
  if (from.buffer == to.buffer) {
    const Buffer between(gpu_, bytes, Memory::kDevice);
    copy(lane, {{from, {&between, 0}, bytes}, {{&between, 0}, to, bytes}});
  } else {
    copy(lane, {{from, to, bytes}});
  }
}

void VulkanDevice::copy(uint32_t lane, const std::vector<BufferCopy>& copies) {
  if (copies.empty()) return;
  gpu_.run_once(lane, [&](VkCommandBuffer commands) {
    for (const BufferCopy& copy : copies) {
      const VkBufferCopy region{copy.from.buffer->origin() + copy.from.offset,
                                copy.to.buffer->origin() + copy.to.offset,
                                copy.bytes};
      vkCmdCopyBuffer(commands, copy.from.buffer->buffer(),
                      copy.to.buffer->buffer(), 1, &region);
      add_barrier(commands);
    }
  });
}

bool VulkanDevice::writes_in_place(const Buffer& buffer) const {
  return features_.staging == Staging::kNeeded && buffer.is_host_visible() &&
         !buffer.is_staged();
}

// Without a copy where the driver has a way and takes this memory.
std::shared_ptr<Buffer> VulkanDevice::import_memory(void* memory,
                                                    uint64_t bytes) {
  if (features_.staging == Staging::kNeeded) {
    try {
      return std::make_shared<Buffer>(gpu_, memory, bytes);
    } catch (const sdk::Error& error) {
      if (error.code() != TSR_UNIMPLEMENTED) throw;
    }
  }
  return std::make_shared<Buffer>(gpu_, memory, bytes, Staged{});
}

void VulkanDevice::buffer_create(const tsr_buffer_desc& desc) {
  if (desc.memory_kind >= entry_.memory_kinds.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory kind " + std::to_string(desc.memory_kind) +
                         " of " + std::to_string(entry_.memory_kinds.size()));
  }
  const Memory memory = desc.memory_kind == 0 ? Memory::kDevice : Memory::kHost;
  buffers_.insert(desc.id, std::make_shared<Buffer>(gpu_, desc.bytes, memory));
}

void VulkanDevice::buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                                 uint64_t handle) {
  if (type != TSR_HANDLE_HOST_POINTER) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                            " cannot be imported");
  }
  buffers_.insert(desc.id,
                  import_memory(reinterpret_cast<void*>(handle), desc.bytes));
}

uint64_t VulkanDevice::buffer_export(uint64_t buffer, uint32_t type) {
  if (type != TSR_HANDLE_HOST_POINTER) {
    throw sdk::Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                            " cannot be exported");
  }
  return reinterpret_cast<uint64_t>(buffers_.find(buffer)->host());
}

void* VulkanDevice::buffer_map(uint64_t buffer) {
  return buffers_.find(buffer)->host();
}

void VulkanDevice::buffer_destroy(uint64_t buffer) {
  gpu_.settle();
  buffers_.erase(buffer);
}

// ---- Weights

tsr_packed_info VulkanDevice::weight_query(const tsr_weight_desc& desc) {
  return query_weight(desc);
}

std::unique_ptr<sdk::Packing> VulkanDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
    uint64_t offset) {
  return begin_packing(*this, weight, desc, {find_buffer(buffer), offset});
}

void VulkanDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                                 uint64_t buffer, uint64_t offset) {
  const PackedPlace place{find_buffer(buffer), offset};
  auto created = std::make_shared<PackedWeight>(*this, desc, place);
  if (place.buffer->is_staged()) {
    ring_.upload({{place.buffer->host() + offset,
                   {place.buffer.get(), offset},
                   created->shape().packed_bytes}});
  }
  add_weight(weight, std::move(created));
}

void VulkanDevice::weight_destroy(uint64_t weight) {
  gpu_.settle();
  weights_.erase(weight);
}

// ---- KV pools

tsr_kv_info VulkanDevice::kv_query(const tsr_kv_desc& desc) {
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = sdk::make_kv_place(desc).block_bytes;
  info.layout = kKvLayout;
  info.alignment = entry_.memory_kinds[0].alignment;
  return info;
}

void VulkanDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                             uint64_t buffer, uint64_t offset) {
  kv_pools_.insert(pool,
                   std::make_shared<KvPool>(desc, find_buffer(buffer), offset));
}

void VulkanDevice::kv_destroy(uint64_t pool) {
  gpu_.settle();
  kv_pools_.erase(pool);
}

// ---- Programs

tsr_program_info VulkanDevice::program_create(const sdk::ProgramView& program) {
  auto created = std::make_shared<Program>(*this, program);
  const tsr_program_info info = created->info();
  programs_.insert(program.desc().id, std::move(created));
  return info;
}

tsr_segment VulkanDevice::program_segment(uint64_t program, uint32_t index) {
  return programs_.find(program)->segment(index);
}

void VulkanDevice::program_destroy(uint64_t program) {
  gpu_.settle();
  programs_.erase(program);
}

std::unique_ptr<sdk::Queue> VulkanDevice::queue_create() {
  return std::make_unique<VulkanQueue>(*this);
}

void VulkanDevice::add_records(const std::vector<tsr_kernel_record>& records) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  records_.insert(records_.end(), records.begin(), records.end());
}

std::vector<tsr_kernel_record> VulkanDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  std::vector<tsr_kernel_record> taken;
  while (!records_.empty() && taken.size() < capacity) {
    taken.push_back(records_.front());
    records_.pop_front();
  }
  return taken;
}

}  // namespace tessera::vulkan
