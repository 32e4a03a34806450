// SPDX-License-Identifier: Apache-2.0
//
// The functions of the table that take no object: they know their plugin by
// which of several equal functions they are.

#include <array>
#include <utility>

#include "framework/host/remote/remote_plugin.hpp"
#include "tessera/error.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

// Plugins that can be isolated at once.
constexpr size_t kNumSlots = 16;

struct Slots {
  std::mutex mutex;
  std::array<std::shared_ptr<RemotePlugin>, kNumSlots> plugins;
};

Slots& slots() {
  static auto* instance = new Slots;
  return *instance;
}

std::shared_ptr<RemotePlugin> plugin_in(size_t slot) {
  Slots& all = slots();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.plugins[slot];
}

// Null, with an error, if there is no device `index`.
std::shared_ptr<RemotePlugin> plugin_with_device(size_t slot, uint32_t index,
                                                 tsr_error* err) {
  std::shared_ptr<RemotePlugin> plugin = plugin_in(slot);
  if (plugin != nullptr && index < plugin->devices.size()) return plugin;
  fail_call(err, TSR_INVALID_ARGUMENT, TSR_RETRY_NEVER,
            "there is no device " + std::to_string(index));
  return nullptr;
}

tsr_status open_device(std::shared_ptr<RemotePlugin> plugin, uint32_t index,
                       const tsr_array* options, tsr_error* err,
                       tsr_device** out_device) {
  auto device = std::make_unique<RemoteDevice>();
  {
    RemoteCall call(*plugin->child, CallId::kDeviceOpen);
    call.arguments().put(uint64_t{index});
    put_options(call.arguments(), options);
    const tsr_status code = call.run(err);
    if (code != TSR_OK) return code;
    device->handle = call.results().get<uint64_t>();
  }
  device->plugin = std::move(plugin);
  device->index = index;
  *out_device = reinterpret_cast<tsr_device*>(device.release());
  return TSR_OK;
}

template <size_t Slot>
void fill_slot(tsr_api& api) {
  api.device_count = [](tsr_error*, uint32_t* out_count) -> tsr_status {
    const auto plugin = plugin_in(Slot);
    *out_count = static_cast<uint32_t>(plugin->devices.size());
    return TSR_OK;
  };
  api.device_info = [](uint32_t index, tsr_error* err,
                       tsr_device_info* out_info) -> tsr_status {
    const auto plugin = plugin_with_device(Slot, index, err);
    if (plugin == nullptr) return TSR_INVALID_ARGUMENT;
    sdk::detail::copy_out(plugin->devices[index].info, out_info);
    return TSR_OK;
  };
  api.device_kernels = [](uint32_t index, tsr_error* err,
                          tsr_array* out_kernels) -> tsr_status {
    const auto plugin = plugin_with_device(Slot, index, err);
    if (plugin == nullptr) return TSR_INVALID_ARGUMENT;
    const auto& kernels = plugin->devices[index].kernels;
    *out_kernels = {kernels.data(), static_cast<uint32_t>(kernels.size()),
                    sizeof(tsr_kernel_desc)};
    return TSR_OK;
  };
  api.device_open = [](uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out_device) -> tsr_status {
    auto plugin = plugin_with_device(Slot, index, err);
    if (plugin == nullptr) return TSR_INVALID_ARGUMENT;
    return open_device(std::move(plugin), index, options, err, out_device);
  };
}

template <size_t... Indices>
constexpr auto fillers(std::index_sequence<Indices...>) {
  return std::array{&fill_slot<Indices>...};
}
constexpr auto kFillers = fillers(std::make_index_sequence<kNumSlots>());

// Holds a slot.
class Slot {
 public:
  explicit Slot(size_t index) : index_(index) {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    std::shared_ptr<RemotePlugin> plugin;  // ends after the lock
    Slots& all = slots();
    const std::lock_guard<std::mutex> lock(all.mutex);
    plugin.swap(all.plugins[index_]);
  }

 private:
  size_t index_;
};

}  // namespace

Result<std::shared_ptr<void>> fill_remote_discovery(
    std::shared_ptr<RemotePlugin> plugin, tsr_api& api) {
  Slots& all = slots();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (size_t i = 0; i < kNumSlots; ++i) {
    if (all.plugins[i] != nullptr) continue;
    all.plugins[i] = std::move(plugin);
    kFillers[i](api);
    return std::shared_ptr<void>(std::make_shared<Slot>(i));
  }
  return Status(TSR_RESOURCE_EXHAUSTED,
                std::to_string(kNumSlots) + " plugins are isolated already");
}

}  // namespace tessera
