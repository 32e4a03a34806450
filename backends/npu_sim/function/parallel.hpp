// SPDX-License-Identifier: Apache-2.0
//
// The host's parallel_for.

#pragma once

#include <cstdint>
#include <type_traits>

#include "tessera/plugin.h"

namespace tessera::npu {

struct Parallel {
  const tsr_host_services* host = nullptr;  // null: the caller's thread alone

  uint32_t num_threads() const {
    return host == nullptr ? 1 : host->num_threads;
  }

  // Calls body(i) once for each i < num_tasks.  What a task computes must not
  // depend on the number of tasks or threads.
  template <typename Body>
  void run(uint32_t num_tasks, const Body& body) const {
    if (host == nullptr || num_tasks <= 1) {
      for (uint32_t i = 0; i < num_tasks; ++i) body(i);
      return;
    }
    host->parallel_for(
        host->host, num_tasks,
        [](void* context, uint32_t index) {
          (*static_cast<const Body*>(context))(index);
        },
        const_cast<Body*>(&body));
  }
};

// Tasks that units of work are cut into; depends on the shape alone.
inline uint32_t num_tasks(int64_t units) {
  return static_cast<uint32_t>(units < 64 ? units : 64);
}

// Units of task `index` of `count`.
struct UnitRange {
  int64_t begin;
  int64_t end;
};
inline UnitRange units_of(int64_t units, uint32_t index, uint32_t count) {
  return {units * index / count, units * (index + 1) / count};
}

}  // namespace tessera::npu
