// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/float_environment.hpp"

#include <atomic>
#include <cfenv>
#include <cfloat>
#include <string>

namespace tessera::conformance {
namespace {

// So that every thread of the pool is likely to take one.
constexpr uint32_t kTasksPerThread = 4;

// Empty if this thread computes as it should.
const char* find_change() {
  if (std::fegetround() != FE_TONEAREST) return "rounding to nearest";
  const volatile float smallest_normal = FLT_MIN;
  const volatile float subnormal = smallest_normal * 0.5f;
  return subnormal == 0.0f ? "keeping subnormal numbers" : "";
}

void look(void* context, uint32_t /*task*/) {
  const char* change = find_change();
  if (change[0] == '\0') return;
  static_cast<std::atomic<const char*>*>(context)->store(change);
  std::fesetenv(FE_DFL_ENV);
}

}  // namespace

Status check_float_environment(ThreadPool& pool) {
  std::atomic<const char*> found = "";
  look(&found, 0);
  pool.parallel_for(kTasksPerThread * pool.num_threads(), look, &found);
  const char* change = found.load();
  if (change[0] == '\0') return {};
  return {TSR_INTERNAL,
          std::string("left a thread of the host's not ") + change};
}

}  // namespace tessera::conformance
