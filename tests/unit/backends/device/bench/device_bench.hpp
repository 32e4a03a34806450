// SPDX-License-Identifier: Apache-2.0
//
// A plugin's ops beside the limits of its device, measured in the same run:
// rounds of one limit and one step in turn, and the median of each.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "framework/host/device/device.hpp"
#include "tests/unit/backends/device/bench/limits.hpp"

namespace tessera::device_test {

// Prints the rows whose name holds `part`; those with "over" in their name run
// two ways to the same end in turn.  Throws std::runtime_error.
void run_device_bench(const std::shared_ptr<Device>& device, Limits& limits,
                      const std::string& part);

using RunBench = void(const std::shared_ptr<Device>& device,
                      const std::string& part);

// The main of a bench: NAME [PART] [KEY=VALUE ...] runs `run` on the device
// under test, opened with the options.
int bench_main(int argc, char** argv, const std::function<RunBench>& run);

}  // namespace tessera::device_test
