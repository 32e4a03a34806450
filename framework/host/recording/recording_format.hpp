// SPDX-License-Identifier: Apache-2.0
//
// The file of recorded calls, as docs/recording.md describes it: numbers that
// must never change their meaning.

#pragma once

#include <cstdint>

namespace tessera::recording {

inline constexpr char kMagic[] = "TSRCALLS";  // 8 bytes, no NUL
inline constexpr uint64_t kVersion = 1;

// Functions of tsr_api.
enum class Call : uint64_t {
  kDeviceOpen = 1,
  kDeviceClose = 2,
  kCheck = 3,
  kEstimate = 4,
  kBufferCreate = 5,
  kBufferImport = 6,
  kBufferExport = 7,
  kBufferMap = 8,
  kBufferFlush = 9,
  kBufferInvalidate = 10,
  kBufferDestroy = 11,
  kWeightQuery = 12,
  kPackingBegin = 13,
  kPackingSlice = 14,
  kPackingEnd = 15,
  kWeightCreate = 16,
  kWeightDestroy = 17,
  kKvQuery = 18,
  kKvCreate = 19,
  kKvDestroy = 20,
  kProgramCreate = 21,
  kProgramSegment = 22,
  kProgramDestroy = 23,
  kTimelineImport = 24,
  kTimelineForget = 25,
  kQueueCreate = 26,
  kQueueSubmit = 27,
  kQueueDestroy = 28,
  kProfileRead = 29,
  kDeviceLastError = 30,
  kDeviceAsk = 31,
};
inline constexpr uint64_t kNumCalls = 31;

// "queue_submit"; "no call" for a number that is none.
const char* call_name(Call call);

// Each entry is its kind, the bytes of what follows, then those.
enum class EntryKind : uint64_t {
  kPlugin = 1,    // u64 plugin; texts name, version, build_id, sha256; u64
                  // abi version; u64 count, then requested devices as texts
  kCall = 2,      // u64 number, plugin, Call; arguments
  kAnswer = 3,    // u64 number; i64 status; u64 retry; text message; results
  kContents = 4,  // u64 number, device, buffer, when, offset; bytes
  kEnd = 5,       // u64 EndReason; nothing follows
};

enum ContentsTime : uint64_t { kBefore = 0, kAfter = 1 };
enum EndReason : uint64_t { kWhole = 0, kLimitReached = 1 };

}  // namespace tessera::recording
