// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/remote_plugin.hpp"

#include <string.h>

#include <algorithm>
#include <utility>

#include "framework/base/log.hpp"
#include "framework/host/device/plugin_error.hpp"

namespace tessera {
namespace {

ChildProcess::Log log_of(const HostOptions& options) {
  if (options.log) return options.log;
  return [](uint32_t level, std::string_view line) { log(level, line); };
}

// Host pointers mean nothing to a child, but shared memory becomes one of its
// own: a kind that can import those is visible to the host, any other is not.
// Such a kind is there once more for what the host never maps, weights above
// all: the plugin's own memory has larger pages than shared memory.
std::vector<RemoteMemoryKind> adapt_memory_kinds(WireFacts& facts) {
  std::vector<RemoteMemoryKind> kinds;
  const auto count = static_cast<uint32_t>(facts.memory_kinds.size());
  for (uint32_t i = 0; i < count; ++i) {
    tsr_memory_kind& kind = facts.memory_kinds[i];
    const bool shared = (kind.flags & TSR_MEMORY_IMPORT_HOST) != 0;
    kinds.push_back({i, shared});
    kind.flags &= ~uint32_t{TSR_MEMORY_IMPORT_HOST};
    kind.handles &= uint32_t{TSR_HANDLE_FD} | uint32_t{TSR_HANDLE_DMA_BUF};
    if (!shared) kind.flags &= ~uint32_t{TSR_MEMORY_HOST_VISIBLE};
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (!kinds[i].shared) continue;
    tsr_memory_kind own = facts.memory_kinds[i];
    own.flags &= ~uint32_t{TSR_MEMORY_HOST_VISIBLE};
    facts.memory_kinds.push_back(own);
    kinds.push_back({i, false});
  }
  facts.info.memory_kinds = {facts.memory_kinds.data(),
                             static_cast<uint32_t>(facts.memory_kinds.size()),
                             sizeof(tsr_memory_kind)};
  return kinds;
}

Status read_devices_of(RemoteCall& call, RemotePlugin& plugin) {
  for (auto count = call.results().get<uint64_t>(); count > 0; --count) {
    WireFacts& facts = plugin.devices.emplace_back();
    if (!get_device_facts(call.results(), &facts)) {
      return {TSR_INTERNAL, "the child's answer is cut short"};
    }
    plugin.memory_kinds.push_back(adapt_memory_kinds(facts));
  }
  return {};
}

// Asks the child to load, and takes what it found.
Status load_in_child(const std::string& manifest_path,
                     const HostOptions& options, RemotePlugin& plugin,
                     PluginParts& parts) {
  const std::string root =
      options.cache_root.empty() ? default_cache_root() : options.cache_root;
  RemoteCall call(*plugin.child, CallId::kLoad);
  call.arguments().put_text(manifest_path);
  call.arguments().put_text(root.empty() ? root : root + "/isolated");
  call.arguments().put(uint64_t{parts.pool->num_threads()});
  call.arguments().put(uint64_t{options.requested_devices.size()});
  for (const std::string& device : options.requested_devices) {
    call.arguments().put_text(device);
  }
  call.arguments().put(uint64_t{options.isolation.sandbox ? 1U : 0U});
  ErrorSlot error;
  const tsr_status code = call.run(&error);
  // The message may be longer than a tsr_error has room for.
  if (code != TSR_OK) {
    const std::string message = call.results().get_text();
    return {code, message.empty() ? error.message : message};
  }
  WireReader& results = call.results();
  parts.identity.name = results.get_text();
  parts.identity.version = results.get_text();
  parts.identity.build_id = results.get_text();
  parts.identity.flags = static_cast<uint32_t>(results.get<uint64_t>());
  parts.abi_version = static_cast<uint32_t>(results.get<uint64_t>());
  parts.path = results.get_text();
  parts.sha256 = results.get_text();
  return read_devices_of(call, plugin);
}

}  // namespace

uint32_t RemoteDevice::private_kind(uint32_t child_kind) const {
  const std::vector<RemoteMemoryKind>& kinds = memory_kinds();
  for (uint32_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].child_kind == child_kind && !kinds[i].shared) return i;
  }
  return child_kind;
}

RemoteCall remote_call(const RemoteDevice& device, CallId id, uint64_t handle) {
  RemoteCall call(device.child(), id);
  call.arguments().put(handle);
  return call;
}

Result<PluginParts> load_remote(const std::string& manifest_path,
                                const HostOptions& options) {
  PluginParts parts;
  parts.isolated = true;
  parts.step_limit_ns = options.isolation.step_limit_ns;
  parts.requested_devices = options.requested_devices;
  parts.pool = options.pool ? options.pool
                            : std::make_shared<ThreadPool>(options.num_threads);
  auto plugin = std::make_shared<RemotePlugin>();
  TSR_ASSIGN_OR_RETURN(
      plugin->child,
      ChildProcess::start(log_of(options), options.isolation.step_limit_ns));
  TSR_RETURN_IF_ERROR(load_in_child(manifest_path, options, *plugin, parts));
  parts.abandon = [child = plugin->child](const std::string& why) {
    child->abandon(why);
  };
  parts.api.struct_size = sizeof(parts.api);
  fill_remote_device(parts.api);
  fill_remote_buffers(parts.api);
  fill_remote_weights(parts.api);
  fill_remote_programs(parts.api);
  TSR_ASSIGN_OR_RETURN(parts.keeper,
                       fill_remote_discovery(std::move(plugin), parts.api));
  return parts;
}

}  // namespace tessera
