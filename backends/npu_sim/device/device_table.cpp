// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/device_table.hpp"

#include <cstdio>
#include <cstring>

#include "backends/npu_sim/questions/simulator.hpp"
#include "tessera/requests.hpp"
#include "tessera/shared_memory.hpp"

namespace tessera::npu {
namespace {

uint64_t fnv1a(const std::string& text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

template <size_t Size>
void set_text(char (&field)[Size], const std::string& text) {
  std::snprintf(field, Size, "%s", text.c_str());
}

tsr_memory_kind simulated_memory(uint64_t bytes) {
  tsr_memory_kind kind{};
  kind.struct_size = sizeof(kind);
  kind.flags = TSR_MEMORY_DEVICE | TSR_MEMORY_HOST_VISIBLE |
               TSR_MEMORY_COHERENT | TSR_MEMORY_IMPORT_HOST;
  kind.bytes = bytes;
  kind.max_alloc_bytes = bytes;
  kind.alignment = sdk::SharedMemoryDevice::kAlignment;
  kind.handles = sdk::SharedMemoryDevice::kHandles;
  return kind;
}

// Every number of a profile has a part in this, so an edited profile is
// another device to whoever keeps results by device.
std::string fingerprint(const Profile& profile) {
  std::string text = profile.name;
  for (const Parameter& parameter : profile.parameters) {
    text += ";" + parameter.key + "=" + parameter.value;
  }
  return text;
}

const tsr_ext* simulator_node() {
  static const tsr_simulator kNode = make_simulator_node();
  return &kNode.ext;
}

void describe(DeviceEntry& entry) {
  const Profile& profile = *entry.profile;
  tsr_device_info& info = entry.info;
  info.health = TSR_OK;
  set_text(info.name, profile.title + " (simulated)");
  const std::string print = fingerprint(profile);
  char driver[64];
  std::snprintf(driver, sizeof(driver), "npu_sim profile %016llx",
                static_cast<unsigned long long>(fnv1a(print, 0)));
  set_text(info.driver, driver);
  const uint64_t identity = fnv1a("simulated " + print, 0);
  const uint64_t second = fnv1a("simulated " + print, 1);
  std::memcpy(info.uuid, &identity, sizeof(identity));
  std::memcpy(info.uuid + sizeof(identity), &second, sizeof(second));
  info.compute_id = identity;
  info.memory_id = identity;
  info.memory_bytes = static_cast<uint64_t>(profile.global.dram_bytes);
  entry.memory_kinds = {simulated_memory(info.memory_bytes)};
  info.memory_kinds = {entry.memory_kinds.data(), 1, sizeof(tsr_memory_kind)};
  entry.rows = kernel_rows(profile);
}

tsr_option option(uint32_t type, const char* key, const char* value,
                  const char* help) {
  return {sizeof(tsr_option), type, key, value, help};
}

}  // namespace

DeviceTable& DeviceTable::instance() {
  static DeviceTable table;
  return table;
}

void DeviceTable::connect(const tsr_host_services& host) {
  if (!entries_.empty()) return;
  for (const std::string& name : builtin_profiles()) add(name);
  for (const char* family : {"310b", "910b"}) add(family);
  for (const std::string& request : sdk::requested_devices(host)) add(request);
}

void DeviceTable::add(const std::string& name_or_path) {
  DeviceEntry& entry = entries_.emplace_back();
  tsr_device_info& info = entry.info;
  info.struct_size = sizeof(info);
  info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
  info.clock = TSR_CLOCK_SIMULATED;
  info.numa_node = -1;
  info.max_queues = 1;
  info.options = device_options();
  info.next = simulator_node();
  set_text(info.profile, name_or_path);
  try {
    entry.profile = std::make_shared<const Profile>(load_profile(name_or_path));
    describe(entry);
  } catch (const sdk::Error& error) {
    info.health = static_cast<uint32_t>(error.code());
    set_text(info.name, "profile that cannot be read");
    set_text(info.reason, error.what());
  }
}

tsr_array device_options() {
  static const tsr_option kOptions[] = {
      option(TSR_OPTION_TEXT, "numerics", "ref",
             "results of the fixed pipe: ref (scales in full, as "
             "on every device), hw (scales cut to 1,8,10 bits)"),
      option(TSR_OPTION_TEXT, "weights", "nz",
             "layout of weights in memory: nz (fractals), nd (rows)"),
      option(TSR_OPTION_INTEGER, "cores", "0",
             "cube cores to use, and as large a share of the vector cores; 0: "
             "all"),
      option(TSR_OPTION_TEXT, "trace", "",
             "file for a Chrome trace of the kernels of profiled steps"),
  };
  return {kOptions, 4, sizeof(tsr_option)};
}

}  // namespace tessera::npu
