// SPDX-License-Identifier: Apache-2.0
//
// A loaded plugin: from a manifest on disk to a table in which every function
// may be called.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/loading/negotiate.hpp"
#include "framework/host/services/services.hpp"
#include "tessera/plugin.h"

namespace tessera {

// What a Plugin is put together from.
struct PluginParts {
  PluginIdentity identity;
  uint32_t abi_version = 0;
  tsr_api api{};
  std::shared_ptr<ThreadPool> pool;
  std::string path;    // of the library; empty if it is part of this program
  std::string sha256;  // likewise
  bool isolated = false;
  // Of a plugin in a child: how long a step may take, and what ends the child.
  uint64_t step_limit_ns = UINT64_MAX;
  std::function<void(const std::string& why)> abandon;
  std::vector<std::string> requested_devices;  // as it was told
  std::shared_ptr<void> keeper;                // what the table needs to work
};

// Any thread.
class Plugin {
 public:
  // Loads the library of a manifest into this process, where it stays until the
  // process ends, whatever becomes of the result.  A library that is loaded
  // already is not loaded again: its first options hold.
  //
  // Errors  NOT_FOUND if manifest, library or its symbol is not there;
  //         FAILED_PRECONDITION if a file is not to be trusted, not what the
  //         manifest says, or built for another ABI, machine or sanitizer;
  //         DATA_LOSS if the library's hash is not the manifest's;
  //         INVALID_ARGUMENT for a malformed manifest, header or table
  static Result<std::shared_ptr<Plugin>> load(const std::string& manifest_path,
                                              const HostOptions& options);
  // The same in a child process, behind a table that forwards every call.  The
  // child ends with the result.
  static Result<std::shared_ptr<Plugin>> load_isolated(
      const std::string& manifest_path, const HostOptions& options);
  // A plugin that is part of this program, such as a test's.
  static Result<std::shared_ptr<Plugin>> adopt(const tsr_plugin_header* header,
                                               const HostOptions& options);

  explicit Plugin(PluginParts parts) : parts_(std::move(parts)) {}
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  const std::string& name() const { return parts_.identity.name; }
  const std::string& version() const { return parts_.identity.version; }
  const std::string& build_id() const { return parts_.identity.build_id; }
  uint32_t flags() const { return parts_.identity.flags; }  // TSR_PLUGIN_*
  // (major << 16) | minor, as agreed.
  uint32_t abi_version() const { return parts_.abi_version; }
  const std::string& path() const { return parts_.path; }
  const std::string& sha256() const { return parts_.sha256; }
  bool is_isolated() const { return parts_.isolated; }
  // How long a step may take; UINT64_MAX: for ever, in this process.
  uint64_t step_limit_ns() const { return parts_.step_limit_ns; }
  // Ends the child of an isolated plugin: its devices are lost.
  void abandon(const std::string& why) const {
    if (parts_.abandon) parts_.abandon(why);
  }
  // What it was asked for when it was loaded; see HostOptions.
  const std::vector<std::string>& requested_devices() const {
    return parts_.requested_devices;
  }

  // Every function is there; what the plugin lacks returns UNIMPLEMENTED.
  const tsr_api& api() const { return parts_.api; }
  ThreadPool& pool() const { return *parts_.pool; }

 private:
  PluginParts parts_;
};

}  // namespace tessera
