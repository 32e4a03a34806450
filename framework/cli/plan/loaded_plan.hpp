// SPDX-License-Identifier: Apache-2.0
//
// A plan lock file, as the commands take it.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/session/loaded_plan.hpp"

namespace tessera::cli {

using tessera::find_base_scheme;
using tessera::LoadedPlan;
using tessera::lower_plan;
using tessera::open_plan_session;

// Reads the plan, opens its devices, and says on stderr which have changed
// since it was made.
//
// Errors  those of tessera::load_plan()
Result<LoadedPlan> load_plan(const std::string& path, const LoadedModel& model,
                             uint32_t threads, bool isolate,
                             const Isolation& isolation = {});

}  // namespace tessera::cli
