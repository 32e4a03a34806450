// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/numerics.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "tessera/simulator.h"

namespace tessera {

Result<DeviceNumerics> numerics_of(Device& device) {
  if (!has_extension(device.info(), TSR_SIMULATOR_NAME)) {
    return DeviceNumerics{};
  }
  TSR_ASSIGN_OR_RETURN(const std::string reply,
                       device.ask(TSR_SIMULATOR_NAME, R"({"op": "profile"})"));
  const nlohmann::json facts = nlohmann::json::parse(reply, nullptr, false);
  if (!facts.is_object()) {
    return Status(TSR_INTERNAL,
                  device.name() + ": the simulator's answer is not JSON");
  }
  DeviceNumerics numerics;
  numerics.fixed_pipe =
      facts.value("fixpipe", false) && facts.value("numerics", "") == "hw";
  numerics.half_products = facts.value("half_products", false);
  numerics.portable_ops = facts.value("portable_ops", false);
  return numerics;
}

}  // namespace tessera
