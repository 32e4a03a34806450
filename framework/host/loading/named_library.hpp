// SPDX-License-Identifier: Apache-2.0
//
// A plugin that the user named by its path, for the conformance kit: no
// manifest is asked for, and its memory is the caller's.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/host/loading/plugin_library.hpp"

namespace tessera {

// Memory that a plugin asks the host for.  Any thread.
class HostAllocator {
 public:
  virtual ~HostAllocator() = default;
  // `alignment` is a power of two.  Null if there is no memory.
  virtual void* alloc(uint64_t bytes, uint64_t alignment) = 0;
  virtual void free(void* memory) = 0;
};

// Loads the library at `path` into this process, where it stays.  To name it is
// consent: only what would end this process is checked.  A caller that has the
// file's hash gives it as `known_sha256`: to read the file again takes longer
// than all else.
//
// Errors  as Plugin::load, save for what is about manifests
Result<std::shared_ptr<Plugin>> load_named_library(
    const std::string& path, const HostOptions& options,
    const std::shared_ptr<HostAllocator>& allocator,
    const std::string& known_sha256 = "");

// Loads a copy of the library at `path`, opens and closes its device, and
// unloads it, `times` times.  What this process has loaded stays.
//
// Requires  the header says TSR_PLUGIN_UNLOADABLE
// Errors    INTERNAL if it stays loaded, or its memory does; as Plugin::load
Status load_and_unload(const std::string& path, uint32_t device_index,
                       uint32_t times);

}  // namespace tessera
