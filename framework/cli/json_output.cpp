// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json_output.hpp"

#include "framework/cli/console.hpp"
#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status check_json(std::string_view command, const Json& value) {
  const OutputShape* const shape = find_output_shape(command);
  if (shape != nullptr) return check_output(*shape, value);
  return {TSR_INTERNAL, std::string(command) + ": its JSON is not declared"};
}

Status print_json(std::string_view command, const Json& value) {
  write_out(json_text(value));
  return check_json(command, value);
}

void add_estimate(Json& object, const std::string& key,
                  const Estimate& estimate) {
  object[key] = estimate.value;
  object[key + "_ci95"] = Json::array({estimate.low, estimate.high});
}

}  // namespace tessera::cli
