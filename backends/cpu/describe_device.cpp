// SPDX-License-Identifier: Apache-2.0

#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "backends/cpu/capabilities.hpp"
#include "backends/cpu/kernels/isa.hpp"
#include "tessera/shared_memory.hpp"

namespace tessera::cpu {
namespace {

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

uint64_t fnv1a(const std::string& text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325U ^ seed;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

template <size_t N>
void set_text(char (&field)[N], const std::string& text) {
  std::snprintf(field, N, "%s", text.c_str());
}

uint64_t memory_bytes() {
  struct sysinfo info {};
  if (sysinfo(&info) != 0) return 0;
  return uint64_t{info.totalram} * info.mem_unit;
}

tsr_memory_kind host_memory(uint64_t bytes) {
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

tsr_option option(uint32_t type, const char* key, const char* value,
                  const char* help) {
  return {sizeof(tsr_option), type, key, value, help};
}

}  // namespace

tsr_device_info describe_device() {
  static const tsr_memory_kind kKinds[] = {host_memory(memory_bytes())};
  static const tsr_option kOptions[] = {
      option(TSR_OPTION_TEXT, "isa", "best",
             "newest instruction set to use: scalar, avx2, avx512, "
             "avx512vnni, avx512bf16, amx"),
      option(TSR_OPTION_TEXT, "onednn", "auto",
             "products of many rows that oneDNN computes: auto (what it is "
             "faster at), always, never"),
      option(TSR_OPTION_INTEGER, "threads", "0",
             "tasks to split work into; 0: the host's threads"),
  };
  tsr_device_info info{};
  info.struct_size = sizeof(info);
  info.flags = TSR_DEVICE_SUBMIT_BLOCKS;
  info.health = TSR_OK;
  info.clock = TSR_CLOCK_WALL;
  const std::string name = processor_name();
  set_text(info.name, name);
  set_text(info.driver, std::string("tessera ") + isa_name(best_isa()));
  // All backends that run on this processor compute the same identity.
  const uint64_t identity = fnv1a("host processor " + name, 0);
  const uint64_t second = fnv1a("host processor " + name, 1);
  std::memcpy(info.uuid, &identity, sizeof(identity));
  std::memcpy(info.uuid + sizeof(identity), &second, sizeof(second));
  info.compute_id = identity;
  info.memory_id = identity;
  info.numa_node = -1;
  info.max_queues = 1;
  info.memory_bytes = kKinds[0].bytes;
  info.memory_kinds = {kKinds, 1, sizeof(tsr_memory_kind)};
  info.options = {kOptions, 3, sizeof(tsr_option)};
  return info;
}

}  // namespace tessera::cpu
