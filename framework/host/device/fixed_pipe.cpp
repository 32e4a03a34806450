// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/fixed_pipe.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "tessera/simulator.h"

namespace tessera {

Result<bool> has_fixed_pipe(Device& device) {
  if (!has_extension(device.info(), TSR_SIMULATOR_NAME)) return false;
  TSR_ASSIGN_OR_RETURN(const std::string reply,
                       device.ask(TSR_SIMULATOR_NAME, R"({"op": "profile"})"));
  const nlohmann::json facts = nlohmann::json::parse(reply, nullptr, false);
  if (!facts.is_object()) {
    return Status(TSR_INTERNAL,
                  device.name() + ": the simulator's answer is not JSON");
  }
  return facts.value("fixpipe", false) && facts.value("numerics", "") == "hw";
}

}  // namespace tessera
