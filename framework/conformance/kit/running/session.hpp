// SPDX-License-Identifier: Apache-2.0
//
// The library under test, loaded into this process.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/case.hpp"
#include "framework/conformance/kit/running/report.hpp"
#include "framework/host/device/device_facts.hpp"

namespace tessera::conformance {

class KitSession {
 public:
  // Loads the library; `known_sha256` is its hash, or empty.
  // Errors: what it is refused for.
  static Result<std::unique_ptr<KitSession>> open(
      const KitOptions& options, const std::string& known_sha256 = "");

  const Plugin& plugin() const { return *context_.plugin(); }
  // What it says of the device under test.
  // Errors: NOT_FOUND if there is no such device; UNAVAILABLE if it is not
  //         healthy.
  Result<DeviceFacts> read_facts() const;
  // Whether options make it scale accumulators as a fixed pipe does.  A device
  // without options is not opened for that.
  Result<bool> has_fixed_pipe() const;

  CaseResult run(const Case& one);

 private:
  KitSession(std::shared_ptr<Plugin> plugin, const KitOptions& options,
             std::shared_ptr<GuardedAllocator> allocator)
      : context_(std::move(plugin), options.device_index,
                 options.device_options, std::move(allocator)),
        has_options_(!options.device_options.empty()) {}

  CaseContext context_;
  bool has_options_;
};

}  // namespace tessera::conformance
