// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json_output.hpp"

#include "framework/cli/console.hpp"

namespace tessera::cli {

void print_json(const Json& value) {
  write_out(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void add_estimate(Json& object, const std::string& key,
                  const Estimate& estimate) {
  object[key] = estimate.value;
  object[key + "_ci95"] = Json::array({estimate.low, estimate.high});
}

}  // namespace tessera::cli
