// SPDX-License-Identifier: Apache-2.0
//
// The calls that cross to a child: those of tsr_api, and the one that loads the
// plugin.

#pragma once

#include <cstdint>

namespace tessera {

// A request is this, then the arguments in the order of tsr_api; handles cross
// as the child's addresses.  A reply is a tsr_status, a tsr_error, then the
// results.
enum class CallId : uint64_t {
  kLoad,
  kDeviceOpen,
  kDeviceClose,
  kCheck,
  kEstimate,
  kBufferCreate,
  kBufferImport,
  kBufferFlush,
  kBufferInvalidate,
  kBufferDestroy,
  kWeightQuery,
  kPackingBegin,
  kPackingSlice,
  kPackingEnd,
  kWeightCreate,
  kWeightDestroy,
  kKvQuery,
  kKvCreate,
  kKvDestroy,
  kProgramCreate,
  kProgramSegment,
  kProgramDestroy,
  kTimelineImport,
  kTimelineForget,
  kQueueCreate,
  kQueueSubmit,
  kQueueDestroy,
  kProfileRead,
  kDeviceLastError,
  kDeviceAsk,
  kCount,
};

// The longest answer to kDeviceAsk.
inline constexpr uint64_t kMaxReplyBytes = uint64_t{64} << 20;

// The child finds its sockets and its mailbox here, and has no other
// descriptors besides the standard ones.
inline constexpr int kChildSocket = 3;
inline constexpr int kChildLogSocket = 4;
inline constexpr int kChildMailbox = 5;

// A line on the log socket: the level, then the text, cut at this length.
inline constexpr uint64_t kMaxLogBytes = 1024;

}  // namespace tessera
