// SPDX-License-Identifier: Apache-2.0
//
// Times ops on a device that has a machine model (tessera/simulator.h).

#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "framework/base/status.hpp"
#include "framework/bench/op_question.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::bench {

// True if the device times ops on a machine model.
bool is_simulator(const tsr_device_info& device);

// What the machine model answers to a request.
//
// Errors  UNIMPLEMENTED if the device has no machine model; what the device
//         says of the request; INTERNAL if its answer is not JSON
Result<nlohmann::ordered_json> ask_simulator(
    Device& device, const nlohmann::ordered_json& request);

// A row of `bench ops`: the keys that every device's rows have, and the
// machine's whole report as "simulation".  Nothing was computed, so "correct"
// is null.
nlohmann::ordered_json simulated_row(const OpQuestion& question,
                                     const std::string& device,
                                     const nlohmann::ordered_json& report);

}  // namespace tessera::bench
