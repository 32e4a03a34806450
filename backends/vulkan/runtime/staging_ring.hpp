// SPDX-License-Identifier: Apache-2.0
//
// Copies between memory of the host that the device does not see and buffers,
// by way of a few slots that both see: while the device copies one, the host
// fills or empties the next.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "backends/vulkan/runtime/buffer.hpp"

namespace tessera::vulkan {

// Bytes of the host's, and where they lie on the device.
struct HostCopy {
  char* host;
  BufferRange device;
  uint64_t bytes;
};

// Any thread.  Copies may be of any size and lie anywhere; several small ones
// share a slot, one that is larger than a slot takes several.
class StagingRing {
 public:
  // Takes num_slots * slot_bytes of memory at the first copy.
  StagingRing(Gpu& gpu, uint64_t slot_bytes, uint32_t num_slots);
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  // Returns when the device has the bytes.
  //
  // Errors   throws as Gpu::run, and RESOURCE_EXHAUSTED; nothing of these
  // copies
  //          runs any more then
  void upload(const std::vector<HostCopy>& copies);
  // Returns when the host has the bytes.
  //
  // Errors   likewise
  void download(const std::vector<HostCopy>& copies);

 private:
  struct Slot;
  struct Piece;
  class Lease;
  class Cutter;
  enum class Direction { kUp, kDown };

  void make_slots();
  void submit(Slot& slot, const std::vector<Piece>& pieces,
              Direction direction);
  // Waits where `must_wait`; null if there is no slot and it must not.
  Slot* take_slot(bool must_wait);
  void give_back(Slot* slot);
  // For `value`, or, of a lost device, for all that still runs.
  void wait_quietly(uint64_t value);

  Gpu& gpu_;
  uint32_t lane_;  // of copies, beside steps where the device has one
  uint64_t slot_bytes_;
  uint32_t num_slots_;
  std::mutex mutex_;
  std::condition_variable is_free_;
  std::vector<Slot> slots_;  // once made, the same
  std::deque<Slot*> free_;   // the longest submitted first
};

}  // namespace tessera::vulkan
