// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/device_table.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "backends/opencl/device_options.hpp"
#include "tessera/requests.hpp"

namespace tessera::opencl {
namespace {

// Every OpenCL device can be given memory at such an address.
constexpr uint32_t kAlignment = 128;

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

tsr_memory_kind memory_kind(const DeviceFacts& facts, uint32_t flags) {
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  kind.flags = flags;
  kind.bytes = facts.memory_bytes;
  kind.max_alloc_bytes = facts.max_alloc_bytes;
  kind.alignment = kAlignment;
  if ((flags & TSR_MEMORY_HOST_VISIBLE) != 0) {
    kind.handles = TSR_HANDLE_HOST_POINTER;
  }
  return kind;
}

std::vector<tsr_memory_kind> memory_kinds(const DeviceFacts& facts) {
  constexpr uint32_t kVisible = TSR_MEMORY_HOST_VISIBLE | TSR_MEMORY_COHERENT;
  if (facts.is_cpu) {
    return {memory_kind(facts,
                        TSR_MEMORY_DEVICE | kVisible | TSR_MEMORY_IMPORT_HOST)};
  }
  if (facts.has_unified_memory) {
    return {memory_kind(facts, TSR_MEMORY_DEVICE | kVisible)};
  }
  return {memory_kind(facts, TSR_MEMORY_DEVICE), memory_kind(facts, kVisible)};
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
void set_identity(const DeviceFacts& facts, uint32_t index,
                  tsr_device_info& info) {
  const std::string who = facts.is_cpu
                              ? "host processor " + processor_name()
                              : "opencl " + facts.platform_name + " " +
                                    facts.name + " " + std::to_string(index);
  const uint64_t first = fnv1a(who, 0);
  const uint64_t second = fnv1a(who, 1);
  std::memcpy(info.uuid, &first, sizeof(first));
  std::memcpy(info.uuid + sizeof(first), &second, sizeof(second));
  info.compute_id = first;
  info.memory_id = first;
}

void describe(uint32_t index, DeviceEntry& entry) {
  const DeviceFacts& facts = entry.facts;
  entry.memory_kinds = memory_kinds(facts);
  tsr_device_info& info = entry.info;
  info.struct_size = sizeof(info);
  info.flags = TSR_DEVICE_OWN_THREADS;
  if (facts.is_cpu) info.flags |= TSR_DEVICE_SUBMIT_BLOCKS;
  info.health = TSR_OK;
  info.clock = TSR_CLOCK_WALL;
  set_text(info.name, facts.name);
  set_text(info.driver, facts.platform_name + " " + facts.driver);
  set_identity(facts, index, info);
  info.numa_node = -1;
  info.max_queues = 8;
  info.memory_bytes = facts.memory_bytes;
  info.memory_kinds = {entry.memory_kinds.data(),
                       static_cast<uint32_t>(entry.memory_kinds.size()),
                       sizeof(tsr_memory_kind)};
  info.options = option_table();
}

// Stands for what is not there, so that the user reads why.
DeviceEntry unhealthy(tsr_status health, const std::string& reason) {
  DeviceEntry entry;
  entry.info.struct_size = sizeof(entry.info);
  entry.info.health = static_cast<uint32_t>(health);
  entry.info.clock = TSR_CLOCK_WALL;
  entry.info.numa_node = -1;
  set_text(entry.info.name, "none");
  set_text(entry.info.reason, reason);
  return entry;
}

}  // namespace

DeviceTable& DeviceTable::instance() {
  static DeviceTable table;
  return table;
}

uint32_t DeviceTable::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<uint32_t>(entries_.size());
}

const DeviceEntry& DeviceTable::at(uint32_t index) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.at(index);
}

void DeviceTable::connect(const tsr_host_services& host) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (entries_.empty()) list();
  for (const std::string& request : sdk::requested_devices(host)) {
    add_part(request);
  }
}

void DeviceTable::list() {
  const DeviceList list = list_devices();
  for (const DeviceFacts& facts : list.devices) add(facts);
  if (list.devices.empty()) {
    entries_.push_back(unhealthy(TSR_UNAVAILABLE, list.reason));
    return;
  }
  for (const DriverFault& fault : list.faults) {
    entries_.push_back(unhealthy(TSR_UNAVAILABLE, fault));
  }
}

void DeviceTable::add(const DeviceFacts& facts) {
  const auto index = static_cast<uint32_t>(entries_.size());
  DeviceEntry& entry = entries_.emplace_back();
  entry.facts = facts;
  describe(index, entry);
}

void DeviceTable::add_part(const std::string& request) {
  uint32_t device = 0;
  uint32_t part = 0;
  char rest = 0;
  if (std::sscanf(request.c_str(), "%9u.%9u%c", &device, &part, &rest) != 2) {
    entries_.push_back(
        unhealthy(TSR_INVALID_ARGUMENT,
                  "opencl:" + request +
                      " is neither an index, as 0, nor a part of one, as 0.1"));
    return;
  }
  if (device >= entries_.size() || entries_[device].info.health != TSR_OK) {
    entries_.push_back(unhealthy(
        TSR_NOT_FOUND, "there is no device opencl:" + std::to_string(device)));
    return;
  }
  try {
    add(part_of(entries_[device].facts, part));
  } catch (const sdk::Error& error) {
    entries_.push_back(unhealthy(error.code(), error.what()));
  }
}

}  // namespace tessera::opencl
