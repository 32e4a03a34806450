// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/loaded_plan.hpp"

#include <utility>

#include "framework/cli/console.hpp"

namespace tessera::cli {

Result<LoadedPlan> load_plan(const std::string& path, const LoadedModel& model,
                             uint32_t threads, bool isolate,
                             const Isolation& isolation) {
  RegistryOptions options;
  options.host.num_threads = threads;
  options.host.isolation = isolation;
  if (isolate) options.isolate = {"*"};
  TSR_ASSIGN_OR_RETURN(LoadedPlan plan,
                       tessera::load_plan(path, model, std::move(options)));
  for (const std::string& change : plan.changes) write_err(change + "\n");
  return plan;
}

}  // namespace tessera::cli
