// SPDX-License-Identifier: Apache-2.0
//
// Makes the calls of a recording again, on a library, and compares what it
// answers and what its work writes.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "framework/host/recording/recording_file.hpp"

namespace tessera::recording {

struct ReplayOptions {
  uint64_t plugin = 0;  // whose calls; index into Recording::plugins
  // A submission that takes longer hangs.
  uint64_t limit_ns = 60'000'000'000;
  // Called before each call, which may end the process.
  std::function<void(uint64_t number, Call call)> begins;
  // Called for what differs: "answers 8 (no memory), recorded 0".
  std::function<void(uint64_t number, Call call, const std::string& what)>
      differs;
};

struct ReplayResult {
  uint64_t calls = 0;
  uint64_t differences = 0;
  uint64_t compared_bytes = 0;  // of contents
  // The last call, if the recorded program ended in it and this one did not.
  std::string survived;
};

// After a difference the recorded contents are put back, so that each is
// told once.  Calls of other plugins are left out; what they would have
// signalled counts as reached.
//
// Errors  INVALID_ARGUMENT, naming the call, for arguments that are not as the
//         format says
Result<ReplayResult> replay(const Recording& recording, const Plugin& plugin,
                            const ReplayOptions& options);

}  // namespace tessera::recording
