// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/lent_services.hpp"

#include <utility>

namespace tessera {
namespace {

// What the plugin takes for the host.
LentServices& lent(tsr_host* host) {
  return *reinterpret_cast<LentServices*>(host);
}

}  // namespace

LentServices::LentServices(std::shared_ptr<HostServices> services,
                           std::shared_ptr<HostAllocator> allocator)
    : services_(std::move(services)),
      allocator_(std::move(allocator)),
      table_(*services_->table()) {
  table_.host = reinterpret_cast<tsr_host*>(this);
  table_.log = [](tsr_host* host, uint32_t level, const char* message) {
    const tsr_host_services& inner = *lent(host).services_->table();
    inner.log(inner.host, level, message);
  };
  table_.alloc = [](tsr_host* host, uint64_t bytes, uint64_t alignment) {
    return lent(host).allocator_->alloc(bytes, alignment);
  };
  table_.free = [](tsr_host* host, void* memory) {
    lent(host).allocator_->free(memory);
  };
  table_.parallel_for = [](tsr_host* host, uint32_t num_tasks,
                           void (*task)(void*, uint32_t), void* context) {
    const tsr_host_services& inner = *lent(host).services_->table();
    inner.parallel_for(inner.host, num_tasks, task, context);
  };
  table_.timeline_signal = [](tsr_host* host, tsr_timeline* timeline,
                              uint64_t value, tsr_status status) {
    const tsr_host_services& inner = *lent(host).services_->table();
    inner.timeline_signal(inner.host, timeline, value, status);
  };
  table_.timeline_wait = [](tsr_host* host, tsr_timeline* timeline,
                            uint64_t value, uint64_t timeout_ns) {
    const tsr_host_services& inner = *lent(host).services_->table();
    return inner.timeline_wait(inner.host, timeline, value, timeout_ns);
  };
}

}  // namespace tessera
