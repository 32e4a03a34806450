// SPDX-License-Identifier: Apache-2.0
//
// What the host lends to a plugin: log, memory, threads, a folder for caches,
// timelines.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/host/services/thread_pool.hpp"
#include "tessera/plugin.h"
#include "tessera/requests.h"

// Opaque to plugins.
struct tsr_host {
  std::string plugin;
  std::string cache_folder;
  std::shared_ptr<tessera::ThreadPool> pool;
  std::function<void(uint32_t level, std::string_view line)> log;
};

namespace tessera {

// How a plugin in a child process is held.
struct Isolation {
  // A step that takes longer counts as hung: the child is ended.
  uint64_t step_limit_ns = 60'000'000'000;
  bool sandbox = false;  // no programs, connections or other processes
};

struct HostOptions {
  // Threads of parallel_for, the caller's included; 0: one per core that this
  // process may use.
  uint32_t num_threads = 0;
  // Those threads, if they are there already; plugins may share them.
  std::shared_ptr<ThreadPool> pool;
  // Where each plugin has a folder of its own; "": default_cache_root().
  std::string cache_root;
  // What the user named after "plugin:", see tessera/requests.h.
  std::vector<std::string> requested_devices;
  Isolation isolation;
  // Takes what plugins log; null: the host's own log.
  std::function<void(uint32_t level, std::string_view line)> log;
};

// XDG_CACHE_HOME/tessera or ~/.cache/tessera; "" if the environment names none,
// or may not be trusted.
std::string default_cache_root();

// The services of one plugin.  Stays where it is.
class HostServices {
 public:
  HostServices(const std::string& plugin, const HostOptions& options,
               std::shared_ptr<ThreadPool> pool);
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  const tsr_host_services* table() const { return &table_; }

 private:
  tsr_host host_;
  tsr_host_services table_;
  tsr_requested_devices requested_;
};

}  // namespace tessera
