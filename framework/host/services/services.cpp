// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/services.hpp"

#include <errno.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "framework/base/log.hpp"
#include "framework/host/device/plugin_memory.hpp"
#include "framework/host/device/timeline.hpp"
#include "framework/host/trust/private_folder.hpp"

namespace tessera {
namespace {

// Nothing if the environment may not be trusted.
std::string environment(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

std::string make_cache_folder(const std::string& root,
                              const std::string& plugin) {
  const std::string parent = root.empty() ? default_cache_root() : root;
  if (parent.empty()) return "";
  std::string folder = parent + "/" + plugin;
  if (create_private_folder(folder)) return folder;
  log(TSR_LOG_WARNING, "no cache folder for plugin " + plugin + ": " + folder +
                           ": " + std::strerror(errno));
  return "";
}

void log_line(tsr_host* host, uint32_t level, const char* message) {
  host->log(level, message == nullptr ? "" : message);
}

void* alloc_memory(tsr_host* /*host*/, uint64_t bytes, uint64_t alignment) {
  return PluginMemory::instance().alloc(bytes, alignment);
}

void free_memory(tsr_host* /*host*/, void* memory) {
  PluginMemory::instance().free(memory);
}

void run_parallel(tsr_host* host, uint32_t num_tasks,
                  void (*task)(void* context, uint32_t index), void* context) {
  host->pool->parallel_for(num_tasks, task, context);
}

void signal_cell(tsr_host* /*host*/, tsr_timeline* timeline, uint64_t value,
                 tsr_status status) {
  signal_timeline(*timeline, value, status);
}

tsr_status wait_cell(tsr_host* /*host*/, tsr_timeline* timeline, uint64_t value,
                     uint64_t timeout_ns) {
  return wait_timeline(*timeline, value, timeout_ns);
}

// Strings that do not fit are left out; the registry refuses them before.
void fill_requested(const std::vector<std::string>& devices,
                    tsr_requested_devices& node) {
  node.ext = {sizeof(node), 0, TSR_REQUESTED_DEVICES_NAME, nullptr};
  for (const std::string& device : devices) {
    if (node.bytes + device.size() + 1 > TSR_REQUESTED_BYTES) return;
    std::memcpy(node.text + node.bytes, device.c_str(), device.size() + 1);
    node.bytes += static_cast<uint32_t>(device.size() + 1);
    ++node.count;
  }
}

}  // namespace

std::string default_cache_root() {
  const std::string xdg = environment("XDG_CACHE_HOME");
  if (!xdg.empty() && xdg[0] == '/') return xdg + "/tessera";
  const std::string home = environment("HOME");
  if (!home.empty() && home[0] == '/') return home + "/.cache/tessera";
  return "";
}

HostServices::HostServices(const std::string& plugin,
                           const HostOptions& options,
                           std::shared_ptr<ThreadPool> pool)
    : host_{plugin, make_cache_folder(options.cache_root, plugin),
            std::move(pool), options.log},
      table_{},
      requested_{} {
  if (!host_.log) {
    host_.log = [plugin](uint32_t level, std::string_view line) {
      log(level, "plugin " + plugin + ": " + std::string(line));
    };
  }
  fill_requested(options.requested_devices, requested_);
  table_.struct_size = sizeof(table_);
  table_.next = &requested_.ext;
  table_.num_threads = host_.pool->num_threads();
  table_.host = &host_;
  table_.cache_folder = host_.cache_folder.c_str();
  table_.log = log_line;
  table_.alloc = alloc_memory;
  table_.free = free_memory;
  table_.parallel_for = run_parallel;
  table_.timeline_signal = signal_cell;
  table_.timeline_wait = wait_cell;
}

}  // namespace tessera
