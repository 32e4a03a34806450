// SPDX-License-Identifier: Apache-2.0
//
// One process's view of the plugin under test: the loaded library, its device
// and the cases.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/running/runner.hpp"

namespace tessera::conformance {

class KitSession {
 public:
  // Loads the library and makes the cases.
  // Errors: what the library is refused for.
  static Result<std::unique_ptr<KitSession>> open(const KitOptions& options);

  const Plugin& plugin() const { return *context_.plugin(); }
  const DeviceFacts& device() const { return *facts_; }
  const CaseList& cases() const { return cases_; }
  // Null if there is none of that id.
  const Case* find(const std::string& id) const;

  CaseResult run(const Case& one);

 private:
  KitSession(std::shared_ptr<Plugin> plugin, const KitOptions& options,
             const CaseOptions& cases,
             std::shared_ptr<GuardedAllocator> allocator,
             std::unique_ptr<DeviceFacts> facts);

  std::unique_ptr<DeviceFacts> facts_;  // the cases point into it
  Claim claim_;
  CaseContext context_;
  CaseList cases_;
};

}  // namespace tessera::conformance
