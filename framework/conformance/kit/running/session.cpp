// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/session.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <vector>

#include "framework/conformance/kit/running/float_environment.hpp"
#include "framework/host/device/numerics.hpp"
#include "framework/host/loading/named_library.hpp"

namespace tessera::conformance {
namespace {

Verdict verdict_of(const Status& status) {
  if (status.ok()) return Verdict::kPass;
  if (status.code() == TSR_UNAVAILABLE) return Verdict::kUnsupported;
  if (status.code() == TSR_DEADLINE_EXCEEDED) return Verdict::kHang;
  return Verdict::kFail;
}

}  // namespace

Result<std::unique_ptr<KitSession>> KitSession::open(
    const KitOptions& options, const std::string& known_sha256) {
  auto allocator = std::make_shared<GuardedAllocator>();
  HostOptions host;
  host.num_threads = 2;
  // What the plugin logs about calls that are wrong on purpose helps nobody.
  if (!options.show_log) host.log = [](uint32_t, std::string_view) {};
  TSR_ASSIGN_OR_RETURN(
      std::shared_ptr<Plugin> plugin,
      load_named_library(options.library, host, allocator, known_sha256));
  return std::unique_ptr<KitSession>(
      new KitSession(std::move(plugin), options, std::move(allocator)));
}

Result<DeviceFacts> KitSession::read_facts() const {
  TSR_ASSIGN_OR_RETURN(std::vector<DeviceFacts> devices,
                       read_devices(plugin().api(), plugin().name()));
  const uint32_t index = context_.device_index();
  if (index >= devices.size()) {
    return Status(TSR_NOT_FOUND,
                  fmt::format("device {} of {}: nothing can be executed", index,
                              devices.size()));
  }
  if (devices[index].info.health != TSR_OK) {
    return Status(TSR_UNAVAILABLE, devices[index].name + " is not healthy: " +
                                       devices[index].info.reason);
  }
  return std::move(devices[index]);
}

Result<bool> KitSession::has_fixed_pipe() const {
  if (!has_options_) return false;
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context_.open_device());
  TSR_ASSIGN_OR_RETURN(const DeviceNumerics numerics, numerics_of(*device));
  return numerics.fixed_pipe;
}

CaseResult KitSession::run(const Case& one) {
  const auto begin = std::chrono::steady_clock::now();
  Status status = one.run(context_);
  const Status environment = check_float_environment(plugin().pool());
  // It explains what else was found.
  if (!environment.ok()) status = environment;
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - begin;
  return {one.id, verdict_of(status), status.message(), spent.count(),
          context_.take_figures()};
}

}  // namespace tessera::conformance
