// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/device_table.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "backends/vulkan/features.hpp"
#include "backends/vulkan/runtime/buffer.hpp"

namespace tessera::vulkan {
namespace {

constexpr uint32_t kAlignment = 128;  // more than any shader asks for

uint64_t fnv1a(const std::string& text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

template <size_t kSize>
void set_text(char (&field)[kSize], const std::string& text) {
  std::snprintf(field, kSize, "%s", text.c_str());
}

tsr_memory_kind memory_kind(const GpuFacts& facts, Memory memory) {
  const int type = find_memory_type(facts, memory);
  const VkMemoryType& chosen = facts.memory.memoryTypes[std::max(type, 0)];
  constexpr VkMemoryPropertyFlags kVisible =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
      VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  if (memory == Memory::kDevice) kind.flags |= TSR_MEMORY_DEVICE;
  if ((chosen.propertyFlags & kVisible) == kVisible) {
    kind.flags |= TSR_MEMORY_HOST_VISIBLE | TSR_MEMORY_COHERENT;
    // What the driver does not import goes through the staging ring.
    kind.flags |= TSR_MEMORY_IMPORT_HOST;
    kind.handles = TSR_HANDLE_HOST_POINTER;
  }
  kind.bytes = facts.memory.memoryHeaps[chosen.heapIndex].size;
  kind.max_alloc_bytes = facts.max_alloc_bytes;
  kind.alignment = kAlignment;
  return kind;
}

// The host must see one kind.
std::vector<tsr_memory_kind> memory_kinds(const GpuFacts& facts) {
  std::vector<tsr_memory_kind> kinds = {memory_kind(facts, Memory::kDevice)};
  if ((kinds[0].flags & TSR_MEMORY_HOST_VISIBLE) == 0) {
    kinds.push_back(memory_kind(facts, Memory::kHost));
  }
  return kinds;
}

// "AMD EPYC 9354" of /proc/cpuinfo.
std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "processor";
}

// Every backend that runs on the host's processor gives it the same identity,
// for they share its cores and its memory.
void set_identity(const GpuFacts& facts, tsr_device_info& info) {
  std::memcpy(info.uuid, facts.device_uuid.data(), sizeof(info.uuid));
  if (facts.is_cpu) {
    const std::string who = "host processor " + processor_name();
    const uint64_t first = fnv1a(who, 0);
    const uint64_t second = fnv1a(who, 1);
    std::memcpy(info.uuid, &first, sizeof(first));
    std::memcpy(info.uuid + sizeof(first), &second, sizeof(second));
  }
  std::memcpy(&info.compute_id, info.uuid, sizeof(info.compute_id));
  info.memory_id = info.compute_id;
}

void describe(const GpuFacts& facts, DeviceEntry& entry) {
  entry.facts = &facts;
  tsr_device_info& info = entry.info;
  info.struct_size = sizeof(info);
  info.flags = TSR_DEVICE_SUBMIT_BLOCKS | TSR_DEVICE_OWN_THREADS;
  info.clock = TSR_CLOCK_WALL;
  info.numa_node = -1;
  set_text(info.name, facts.name);
  set_text(info.driver, facts.driver);
  set_text(info.reason, facts.missing);
  if (!facts.missing.empty()) {
    info.health = static_cast<uint32_t>(TSR_UNAVAILABLE);
    return;
  }
  entry.memory_kinds = memory_kinds(facts);
  set_identity(facts, info);
  info.options = option_table();
  info.max_queues = 8;
  info.memory_bytes = entry.memory_kinds[0].bytes;
  info.memory_kinds = {entry.memory_kinds.data(),
                       static_cast<uint32_t>(entry.memory_kinds.size()),
                       sizeof(tsr_memory_kind)};
}

// Stands for what is not there, so that the user reads why.
DeviceEntry unhealthy(const std::string& reason) {
  DeviceEntry entry;
  entry.info.struct_size = sizeof(entry.info);
  entry.info.health = static_cast<uint32_t>(TSR_UNAVAILABLE);
  entry.info.clock = TSR_CLOCK_WALL;
  entry.info.numa_node = -1;
  set_text(entry.info.name, "none");
  set_text(entry.info.reason, reason);
  return entry;
}

}  // namespace

DeviceTable::DeviceTable() {
  const Instance& instance = Instance::get();
  entries_.resize(instance.gpus().size());
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    describe(instance.gpus()[i], entries_[i]);
  }
  if (entries_.empty()) entries_.push_back(unhealthy(instance.reason()));
}

const DeviceTable& DeviceTable::instance() {
  static const DeviceTable table;
  return table;
}

}  // namespace tessera::vulkan
