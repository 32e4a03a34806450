// SPDX-License-Identifier: Apache-2.0

#include "framework/host/validation/validation.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "framework/host/validation/checked_call.hpp"
#include "framework/host/validation/checked_tables.hpp"

namespace tessera {
namespace {

using validation::CheckedCall;
using validation::kMaxPlugins;
using validation::kNumKinds;
using validation::state;
using validation::violation;

void device_close(tsr_device* device) {
  CheckedCall call(device, "device_close");
  for (size_t kind = 0; kind < kNumKinds; ++kind) {
    const size_t left = call.here().alive[kind].size();
    if (left != 0) call.host(fmt::format("{} objects still exist", left));
  }
  if (call.here().num_queues != 0) call.host("queues still exist");
  if (call.here().num_packings != 0) call.host("packings have not ended");
  const auto close = call.api().device_close;
  state().devices.erase(device);
  call.unlock();
  close(device);
}

// ---- Calls that do not name a device need functions for each plugin.

template <size_t Slot>
struct Slotted {
  static tsr_status device_count(tsr_error* err, uint32_t* out) {
    const tsr_status status = api().device_count(err, out);
    const std::lock_guard<std::mutex> lock(state().mutex);
    if (status != TSR_OK) return status;
    std::optional<uint32_t>& first = state().num_devices[Slot];
    if (!first) first = *out;
    if (*first != *out) {
      violation(Slot, "plugin", "device_count",
                fmt::format("{} devices, {} before", *out, *first));
    }
    return status;
  }

  static tsr_status device_info(uint32_t index, tsr_error* err,
                                tsr_device_info* out) {
    const uint32_t size = out->struct_size;
    const tsr_status status = api().device_info(index, err, out);
    const std::lock_guard<std::mutex> lock(state().mutex);
    check_index("device_info", index);
    if (status != TSR_OK) return status;
    if (out->struct_size > size) {
      violation(Slot, "plugin", "device_info", "struct_size grew");
    }
    if (size >= sizeof(*out) &&
        std::memchr(out->name, 0, sizeof(out->name)) == nullptr) {
      violation(Slot, "plugin", "device_info", "a name without an end");
    }
    return status;
  }

  static tsr_status device_kernels(uint32_t index, tsr_error* err,
                                   tsr_array* out) {
    const tsr_status status = api().device_kernels(index, err, out);
    const std::lock_guard<std::mutex> lock(state().mutex);
    check_index("device_kernels", index);
    if (status == TSR_OK && out->count != 0 && out->data == nullptr) {
      violation(Slot, "plugin", "device_kernels",
                fmt::format("{} rows at NULL", out->count));
    }
    return status;
  }

  static tsr_status device_open(uint32_t index, const tsr_array* options,
                                tsr_error* err, tsr_device** out) {
    const tsr_status status = api().device_open(index, options, err, out);
    const std::lock_guard<std::mutex> lock(state().mutex);
    check_index("device_open", index);
    if (status != TSR_OK) return status;
    if (*out == nullptr) {
      violation(Slot, "plugin", "device_open", "says OK, and opens nothing");
    }
    state().devices[*out].slot = Slot;
    return status;
  }

  static void fill(tsr_api& checked) {
    checked.device_count = device_count;
    checked.device_info = device_info;
    checked.device_kernels = device_kernels;
    checked.device_open = device_open;
  }

 private:
  static const tsr_api& api() { return state().api[Slot]; }

  static void check_index(const char* call, uint32_t index) {
    const std::optional<uint32_t>& count = state().num_devices[Slot];
    if (!count || index < *count) return;
    violation(Slot, "host", call,
              fmt::format("device {} of {}", index, *count));
  }
};

template <size_t... Slots>
constexpr auto slotted_functions(std::index_sequence<Slots...>) {
  return std::array<void (*)(tsr_api&), sizeof...(Slots)>{
      Slotted<Slots>::fill...};
}

}  // namespace

bool is_validating() {
  const char* value = secure_getenv("TESSERA_VALIDATE");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

tsr_api validated(const tsr_api& api, const std::string& plugin) {
  static constexpr auto kFill =
      slotted_functions(std::make_index_sequence<kMaxPlugins>());
  const std::lock_guard<std::mutex> lock(state().mutex);
  if (state().num_plugins == kMaxPlugins) return api;
  const size_t slot = state().num_plugins++;
  state().api[slot] = api;
  state().names[slot] = plugin;
  tsr_api checked = api;
  kFill[slot](checked);
  checked.device_close = device_close;
  validation::check_objects(checked);
  validation::check_work(checked);
  return checked;
}

uint64_t num_violations() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  return state().num_violations;
}

}  // namespace tessera
