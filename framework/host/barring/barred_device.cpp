// SPDX-License-Identifier: Apache-2.0
//
// A layer over the plugin's table: it notes the shapes of weights and pools as
// they are made, and answers for programs that a barred kernel would run.

#include "framework/host/barring/barred_device.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "framework/host/barring/barred_kernels.hpp"
#include "framework/host/remote/child_process.hpp"
#include "tessera/record.hpp"

namespace tessera {
namespace {

struct BarredDevice {
  tsr_api api{};  // the plugin's own
  std::shared_ptr<BarredKernels> kernels;
};

struct Bars {
  std::mutex mutex;
  std::map<tsr_device*, BarredDevice> devices;
};

// Never destroyed: plugins outlive the exit handlers.
Bars& bars() {
  static auto* instance = new Bars;
  return *instance;
}

BarredDevice find(tsr_device* device) {
  const std::lock_guard<std::mutex> lock(bars().mutex);
  return bars().devices.at(device);
}

std::span<const std::byte> bytes_of(const tsr_program_desc& program) {
  return {reinterpret_cast<const std::byte*>(&program), program.record_bytes};
}

void device_close(tsr_device* device) {
  const auto close = find(device).api.device_close;
  {
    const std::lock_guard<std::mutex> lock(bars().mutex);
    bars().devices.erase(device);
  }
  close(device);
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status check(tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
  const BarredDevice barred = find(device);
  const tsr_status status =
      barred.api.check(device, program, weights, kv_pools, err, out, capacity,
                       stride, out_count);
  if (status != TSR_OK) return status;
  const std::vector<tsr_refusal> refusals = barred.kernels->refusals(
      bytes_of(*program), sdk::Elements<tsr_weight_desc>(*weights).all(),
      sdk::Elements<tsr_kv_desc>(*kv_pools).all());
  if (refusals.empty()) return TSR_OK;
  *out_count = static_cast<uint32_t>(refusals.size());
  for (uint32_t i = 0; i < *out_count && i < capacity; ++i) {
    std::memcpy(reinterpret_cast<std::byte*>(out) + size_t{i} * stride,
                &refusals[i], std::min<size_t>(stride, sizeof(tsr_refusal)));
  }
  return fail_call(err, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                   refusals.front().message);
}

tsr_status program_create(tsr_device* device, const tsr_program_desc* program,
                          tsr_error* err, tsr_program_info* out) {
  const BarredDevice barred = find(device);
  const std::vector<tsr_refusal> refusals =
      barred.kernels->refusals(bytes_of(*program));
  if (refusals.empty()) {
    return barred.api.program_create(device, program, err, out);
  }
  return fail_call(err, TSR_UNIMPLEMENTED, TSR_RETRY_NEVER,
                   "op " + std::to_string(refusals.front().op) + ": " +
                       refusals.front().message);
}

// NOLINTNEXTLINE(readability-function-size): tsr_api's signature
tsr_status packing_begin(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err, tsr_packing** out) {
  const BarredDevice barred = find(device);
  barred.kernels->add_weight(id, *desc);
  return barred.api.packing_begin(device, id, desc, buffer, offset, err, out);
}

tsr_status weight_create(tsr_device* device, uint64_t id,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
  const BarredDevice barred = find(device);
  barred.kernels->add_weight(id, *desc);
  return barred.api.weight_create(device, id, desc, buffer, offset, err);
}

tsr_status kv_create(tsr_device* device, uint64_t id, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
  const BarredDevice barred = find(device);
  barred.kernels->add_pool(id, *desc);
  return barred.api.kv_create(device, id, desc, buffer, offset, err);
}

// The plugin behind a table with the functions above.
std::shared_ptr<Plugin> with_bars(const std::shared_ptr<Plugin>& plugin) {
  PluginParts parts;
  parts.identity = {plugin->name(), plugin->version(), plugin->build_id(),
                    plugin->flags()};
  parts.abi_version = plugin->abi_version();
  parts.api = plugin->api();
  parts.api.device_close = device_close;
  parts.api.check = check;
  parts.api.program_create = program_create;
  parts.api.packing_begin = packing_begin;
  parts.api.weight_create = weight_create;
  parts.api.kv_create = kv_create;
  parts.pool = std::shared_ptr<ThreadPool>(plugin, &plugin->pool());
  parts.path = plugin->path();
  parts.sha256 = plugin->sha256();
  parts.isolated = plugin->is_isolated();
  parts.step_limit_ns = plugin->step_limit_ns();
  parts.abandon = [plugin](const std::string& why) { plugin->abandon(why); };
  parts.requested_devices = plugin->requested_devices();
  parts.keeper = plugin;
  return std::make_shared<Plugin>(std::move(parts));
}

}  // namespace

Result<std::shared_ptr<Device>> open_barred(
    const std::shared_ptr<Plugin>& plugin, uint32_t index,
    DeviceOptions options, const DeviceFacts& facts,
    const std::vector<KnownFailure>& failures) {
  TSR_RETURN_IF_ERROR(BarredKernels::check_device(facts, failures));
  TSR_ASSIGN_OR_RETURN(std::shared_ptr<Device> device,
                       Device::open(with_bars(plugin), index, options));
  const std::lock_guard<std::mutex> lock(bars().mutex);
  bars().devices[device->handle()] = {
      plugin->api(), std::make_shared<BarredKernels>(facts, failures)};
  return device;
}

}  // namespace tessera
