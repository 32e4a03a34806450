// SPDX-License-Identifier: Apache-2.0
//
// A host of a page for the ABI tests: it opens a library, takes its table,
// and lends single-threaded services.  The framework's own host is tested
// elsewhere; here the ABI alone is.

#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tessera/plugin.h"

namespace tessera::abi_test {

// Raises or fails `timeline`; see tsr_timeline.
inline void signal_timeline(tsr_host*, tsr_timeline* timeline, uint64_t value,
                            tsr_status status) {
  __atomic_store_n(&timeline->status, status, __ATOMIC_RELEASE);
  __atomic_store_n(&timeline->value, status == TSR_OK ? value : UINT64_MAX,
                   __ATOMIC_RELEASE);
}

// Nothing runs beside the test, so a value that is not there never comes.
inline tsr_status wait_timeline(tsr_host*, tsr_timeline* timeline,
                                uint64_t value, uint64_t) {
  if (__atomic_load_n(&timeline->value, __ATOMIC_ACQUIRE) < value) {
    return TSR_DEADLINE_EXCEEDED;
  }
  return __atomic_load_n(&timeline->status, __ATOMIC_ACQUIRE);
}

inline tsr_host_services make_services() {
  tsr_host_services services{};
  services.struct_size = sizeof(services);
  services.num_threads = 1;
  services.cache_folder = "";
  services.log = [](tsr_host*, uint32_t, const char*) {};
  services.alloc = [](tsr_host*, uint64_t bytes, uint64_t alignment) {
    constexpr uint64_t kLimit = UINT64_C(1) << 30;  // there is no more memory
    if (bytes > kLimit) return static_cast<void*>(nullptr);
    return std::aligned_alloc(alignment,
                              (bytes + alignment - 1) / alignment * alignment);
  };
  services.free = [](tsr_host*, void* memory) { std::free(memory); };
  services.parallel_for = [](tsr_host*, uint32_t num_tasks,
                             void (*task)(void*, uint32_t), void* context) {
    for (uint32_t i = 0; i < num_tasks; ++i) task(context, i);
  };
  services.timeline_signal = signal_timeline;
  services.timeline_wait = wait_timeline;
  return services;
}

// A plugin, its library open until the end of the process.
class TestPlugin {
 public:
  explicit TestPlugin(const std::string& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    const auto query = reinterpret_cast<tsr_plugin_query_fn>(
        dlsym(library, "tsr_plugin_query_v1"));
    if (query == nullptr) throw std::runtime_error("no symbol");
    header_ = query();
  }

  const tsr_plugin_header& header() const { return *header_; }
  // The table for the highest version that both sides speak.
  const tsr_api& api() {
    if (api_ != nullptr) return *api_;
    constexpr uint32_t kNewest = TSR_ABI_MAJOR << 16 | TSR_ABI_MINOR;
    const uint32_t version =
        header_->abi_max < kNewest ? header_->abi_max : kNewest;
    if (header_->get_api(version, &services_, nullptr, &api_) != TSR_OK) {
      throw std::runtime_error("no table");
    }
    return *api_;
  }

 private:
  const tsr_plugin_header* header_ = nullptr;
  tsr_host_services services_ = make_services();
  const tsr_api* api_ = nullptr;
};

}  // namespace tessera::abi_test
