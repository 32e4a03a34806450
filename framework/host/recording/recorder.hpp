// SPDX-License-Identifier: Apache-2.0
//
// With TESSERA_RECORD=FILE every call of a plugin's table passes through here
// and is written down, for a bug report: `tessera replay FILE` makes the same
// calls again.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/host/recording/recording_file.hpp"
#include "tessera/plugin.h"

namespace tessera::recording {

// Begins a recording of this process, if there is none.  FILE.partial grows
// with each call and becomes FILE when it ends: at finish(), at the normal end
// of the program, or once `limit_bytes` are written.
//
// Errors: FAILED_PRECONDITION, naming the file, if it cannot be written.
Status start(const std::string& file, uint64_t limit_bytes);

// Ends the recording, if there is one.
// Errors: FAILED_PRECONDITION if not everything could be written.
Status finish();

// Starts what the environment asks for: TESSERA_RECORD, and the limit in MiB,
// TESSERA_RECORD_LIMIT (1024).  A file that cannot be written is logged.
void start_if_asked();

// A table that records the calls of `api` while a recording goes on, and passes
// them on otherwise.  `api` itself if none was ever started.  Lives as long as
// the process; at most 32 plugins, the others are not recorded.
//
// While it records, submissions run one after another, and return when their
// work is done, so that what they wrote can be recorded.
tsr_api recorded(const tsr_api& api, const RecordedPlugin& plugin);

}  // namespace tessera::recording
