// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/simulated_op.hpp"

#include "framework/bench/op_row.hpp"
#include "tessera/simulator.h"

namespace tessera::bench {
namespace {

using Json = nlohmann::ordered_json;

// The value of a key, or null.
Json value_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

}  // namespace

bool is_simulator(const tsr_device_info& device) {
  return has_extension(device, TSR_SIMULATOR_NAME);
}

Result<Json> ask_simulator(Device& device, const Json& request) {
  const std::string text =
      request.dump(-1, ' ', false, Json::error_handler_t::replace);
  TSR_ASSIGN_OR_RETURN(const std::string reply,
                       device.ask(TSR_SIMULATOR_NAME, text));
  Json json = Json::parse(reply, nullptr, false);
  if (!json.is_object()) {
    return Status(TSR_INTERNAL,
                  device.name() + ": the simulator's answer is not JSON");
  }
  return json;
}

Json simulated_row(const OpQuestion& question, const std::string& device,
                   const Json& report) {
  Json row = question_row(question, device);
  const Json time = value_of(report, "time_ns");
  row["median_ns"] = time;
  row["ci95_ns"] = {time, time};
  row["clock"] = "simulated";
  row["bytes"] = value_of(report, "canonical_bytes");
  row["ops"] = value_of(report, "operations");
  row["limit"] = value_of(report, "limit_ns");
  row["limit_kind"] = value_of(report, "limit_kind");
  row["achieved_over_limit"] = nullptr;
  if (time.is_number() && row["limit"].is_number() && time.get<double>() > 0) {
    row["achieved_over_limit"] =
        row["limit"].get<double>() / time.get<double>();
  }
  row["correct"] = nullptr;
  row["simulation"] = report;
  return row;
}

}  // namespace tessera::bench
