// SPDX-License-Identifier: Apache-2.0
//
// A loaded plugin: from a manifest on disk to a table in which every function
// may be called.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/manifest.hpp"
#include "framework/host/negotiate.hpp"
#include "framework/host/services.hpp"
#include "tessera/plugin.h"

namespace tessera {

// What a plugin says about one device; readable without opening it.
struct DeviceFacts {
  std::string name;      // "cpu" alone, else "npu_sim:310p" or "vulkan:1"
  tsr_device_info info;  // what it points at lives as long as the library
  std::vector<tsr_memory_kind> memory_kinds;
  std::vector<tsr_option> options;
  std::vector<tsr_kernel_desc> kernels;
};

// Any thread.  The library stays loaded until the process ends, whatever
// becomes of this object.
class Plugin {
 public:
  // Loads the library beside `manifest_path` into this process.  A library that
  // is loaded already is not loaded again.
  //
  // Errors  NOT_FOUND if manifest, library or its symbol is not there;
  //         FAILED_PRECONDITION if a file is not to be trusted, not what the
  //         manifest says, or built for another ABI, machine or sanitizer;
  //         DATA_LOSS if the library's hash is wrong;
  //         INVALID_ARGUMENT for a malformed manifest, header or table
  static Result<std::shared_ptr<Plugin>> load(const std::string& manifest_path,
                                              const HostOptions& options);
  // The same in a child process, through a table that forwards every call.
  static Result<std::shared_ptr<Plugin>> load_isolated(
      const std::string& manifest_path, const HostOptions& options);
  // A plugin that is part of this program, such as a test's.  `header` outlives
  // the process's use of it.
  static Result<std::shared_ptr<Plugin>> adopt(const tsr_plugin_header* header,
                                               const HostOptions& options);

  virtual ~Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  const std::string& name() const { return identity_.name; }
  const std::string& version() const { return identity_.version; }
  const std::string& build_id() const { return identity_.build_id; }
  // (major << 16) | minor, as agreed.
  uint32_t abi_version() const { return abi_version_; }
  // Of the library; empty for an adopted plugin.
  const std::string& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }
  bool is_isolated() const { return isolated_; }

  // Every function is there; what the plugin lacks returns UNIMPLEMENTED.
  const tsr_api& api() const { return api_; }
  // Its host services' threads.
  ThreadPool& pool() const { return *pool_; }

  // Devices, unhealthy ones included.
  Result<std::vector<DeviceFacts>> devices() const;
  // Errors: INVALID_ARGUMENT if there is no device `index`.
  Result<DeviceFacts> device(uint32_t index) const;

 protected:
  Plugin(PluginIdentity identity, uint32_t abi_version, const tsr_api& api,
         std::shared_ptr<ThreadPool> pool);

 private:
  friend class PluginLoader;

  PluginIdentity identity_;
  uint32_t abi_version_;
  tsr_api api_;
  std::shared_ptr<ThreadPool> pool_;
  std::string path_;
  std::string sha256_;
  bool isolated_ = false;
};

}  // namespace tessera
