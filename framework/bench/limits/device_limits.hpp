// SPDX-License-Identifier: Apache-2.0
//
// The roofline of a device, measured in the run that is held against it.

#pragma once

#include <cstdint>
#include <string>

#include "framework/base/status.hpp"
#include "framework/bench/limits/host_limits.hpp"
#include "framework/bench/timed/timed_op.hpp"

namespace tessera::bench {

// The shortest time that an op can take.
struct OpLimit {
  double ns = 0.0;   // 0 if unknown
  std::string kind;  // "memory" or "compute"
  Limit memory;
  Limit compute;
};

// One device.  One thread at a time.
class DeviceLimits {
 public:
  // `host` if the device computes on this machine's processor, else null: then
  // its memory is probed by a copy, and what it could compute is not known.
  DeviceLimits(Submitter& submitter, HostLimits* host)
      : submitter_(submitter), host_(host) {}

  bool is_of_host() const { return host_ != nullptr; }

  // Errors  those of the device
  Result<OpLimit> limit_of(const TimedOp& op, bool is_copy,
                           Probe probe = Probe::kOnce);

 private:
  Result<Limit> probe_copy();

  Submitter& submitter_;
  HostLimits* host_;
  Limit copy_;
};

}  // namespace tessera::bench
