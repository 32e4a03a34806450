// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "framework/conformance/kit/running/float_environment.hpp"
#include "framework/host/device/fixed_pipe.hpp"
#include "framework/host/loading/named_library.hpp"

namespace tessera::conformance {
namespace {

Verdict verdict_of(const Status& status) {
  if (status.ok()) return Verdict::kPass;
  if (status.code() == TSR_UNAVAILABLE) return Verdict::kUnsupported;
  if (status.code() == TSR_DEADLINE_EXCEEDED) return Verdict::kHang;
  return Verdict::kFail;
}

// Options may change what results mean; a device as it is opened without them
// is not opened before a case asks for it.
Result<CaseOptions> case_options(const KitOptions& options,
                                 const std::shared_ptr<Plugin>& plugin) {
  CaseOptions cases = options.cases;
  if (options.device_options.empty()) return cases;
  TSR_ASSIGN_OR_RETURN(
      const std::shared_ptr<Device> device,
      Device::open(plugin, options.device_index, options.device_options));
  TSR_ASSIGN_OR_RETURN(cases.has_fixed_pipe, has_fixed_pipe(*device));
  return cases;
}

}  // namespace

Result<std::unique_ptr<KitSession>> KitSession::open(
    const KitOptions& options) {
  auto allocator = std::make_shared<GuardedAllocator>();
  HostOptions host;
  host.num_threads = 2;
  // What the plugin logs about calls that are wrong on purpose helps nobody.
  if (!options.show_log) host.log = [](uint32_t, std::string_view) {};
  TSR_ASSIGN_OR_RETURN(std::shared_ptr<Plugin> plugin,
                       load_named_library(options.library, host, allocator));
  TSR_ASSIGN_OR_RETURN(std::vector<DeviceFacts> devices,
                       read_devices(plugin->api(), plugin->name()));
  if (options.device_index >= devices.size()) {
    return Status(TSR_NOT_FOUND,
                  fmt::format("device {} of {}: nothing can be executed",
                              options.device_index, devices.size()));
  }
  auto facts =
      std::make_unique<DeviceFacts>(std::move(devices[options.device_index]));
  if (facts->info.health != TSR_OK) {
    return Status(TSR_UNAVAILABLE,
                  facts->name + " is not healthy: " + facts->info.reason);
  }
  TSR_ASSIGN_OR_RETURN(const CaseOptions cases, case_options(options, plugin));
  return std::unique_ptr<KitSession>(new KitSession(std::move(plugin), options,
                                                    cases, std::move(allocator),
                                                    std::move(facts)));
}

KitSession::KitSession(std::shared_ptr<Plugin> plugin,
                       const KitOptions& options, const CaseOptions& cases,
                       std::shared_ptr<GuardedAllocator> allocator,
                       std::unique_ptr<DeviceFacts> facts)
    : facts_(std::move(facts)),
      claim_(*facts_),
      context_(std::move(plugin), options.device_index, options.device_options,
               std::move(allocator)),
      cases_(generate_cases(claim_, options.max_level, cases)) {}

const Case* KitSession::find(const std::string& id) const {
  const auto found =
      std::find_if(cases_.begin(), cases_.end(),
                   [&](const Case& one) { return one.id == id; });
  return found == cases_.end() ? nullptr : &*found;
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
