// SPDX-License-Identifier: Apache-2.0
//
// Requests of the simulator extension as problems.

#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

struct Request {
  Problem problem;
  SimulateOptions options;
  std::map<std::string, std::string> files;  // "trace", "csv", "svg", "listing"
};

// Errors   throws sdk::Error INVALID_ARGUMENT, naming the key
Request read_request(const nlohmann::ordered_json& json);

}  // namespace tessera::npu
