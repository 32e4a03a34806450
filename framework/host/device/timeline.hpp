// SPDX-License-Identifier: Apache-2.0
//
// Timeline semaphores: how host and devices wait for each other.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

class Device;

// Raises `cell` to `value`, or fails it if `status` is not OK, and wakes its
// waiters.  A value that was reached, and a failure, stay.  Any thread, any
// process.
void signal_timeline(tsr_timeline& cell, uint64_t value, tsr_status status);

// Returns when `cell` has reached `value`: OK, or the status of its failure if
// that came first; DEADLINE_EXCEEDED after timeout_ns (UINT64_MAX: never).
tsr_status wait_timeline(tsr_timeline& cell, uint64_t value,
                         uint64_t timeout_ns);

// A timeline of the host's.  Its cell lies in memory that a child can map.  Any
// thread, save import_into.
class Timeline {
 public:
  Timeline();
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // The id is the same on every device.
  uint64_t id() const { return id_; }

  // Makes the timeline known to a device, which it keeps open from then on, and
  // returns its id.
  // Errors: RESOURCE_EXHAUSTED if there was no memory for the cell.
  Result<uint64_t> import_into(std::shared_ptr<Device> device);

  // The value reached so far; UINT64_MAX if it failed.
  uint64_t value() const;
  // OK, or why it failed.
  tsr_status status() const;

  Status wait(uint64_t value, uint64_t timeout_ns = UINT64_MAX) const;
  // Raises it from the host's side.
  void signal(uint64_t value);
  // Ends every wait, now and later, with `status`.
  void fail(tsr_status status);

 private:
  uint64_t id_;
  tsr_timeline* cell_;  // null if there was no memory
  std::vector<std::shared_ptr<Device>> devices_;
};

}  // namespace tessera
