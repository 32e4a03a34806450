// SPDX-License-Identifier: Apache-2.0
//
// How threads compute with floats: what a plugin sets there stays, and changes
// what everybody else computes.

#pragma once

#include "framework/base/status.hpp"
#include "framework/host/services/thread_pool.hpp"

namespace tessera::conformance {

// INTERNAL if this thread, or one of `pool`, no longer rounds to nearest or
// flushes subnormal numbers to zero; they are put right again.
Status check_float_environment(ThreadPool& pool);

}  // namespace tessera::conformance
