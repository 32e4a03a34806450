// SPDX-License-Identifier: Apache-2.0
//
// Reads a file of recorded calls, whole or not at all.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/recording/recording_format.hpp"

namespace tessera::recording {

struct RecordedPlugin {
  std::string name;
  std::string version;
  std::string build_id;
  std::string sha256;  // of its library; empty if it was part of the program
  uint64_t abi_version = 0;
  std::vector<std::string> requested_devices;
  bool is_isolated = false;  // while it is recorded; not in the file
};

// A call or contents, in the order in which they were recorded.
struct Entry {
  EntryKind kind = EntryKind::kCall;
  uint64_t number = 0;  // of the call
  uint64_t plugin = 0;  // of a call; index into plugins
  Call call = Call::kDeviceOpen;
  std::span<const std::byte> body;    // arguments; or device, buffer, ...
  std::span<const std::byte> answer;  // from `status` on; empty: it never came
};

// Points into the bytes that it was read from.
struct Recording {
  std::vector<RecordedPlugin> plugins;
  std::vector<Entry> entries;
  bool is_complete = false;  // false: the program ended while it recorded
  EndReason end = kWhole;
};

// `bytes` are aligned to 8, as a mapped file's are.  A last entry that is cut
// short is left out: the program that recorded it was ended.
//
// Errors  INVALID_ARGUMENT for anything else that is not as the format says,
//         naming the place
Result<Recording> read_recording(std::span<const std::byte> bytes);

}  // namespace tessera::recording
