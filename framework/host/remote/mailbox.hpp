// SPDX-License-Identifier: Apache-2.0
//
// Shared memory through which a call reaches a child, and its reply comes back:
// both ends spin before they sleep, so a step costs no system call while it is
// expected, unless the last message was long in coming: then a core that spins
// would be taken from the other end's work.  What is too large for it, or
// carries descriptors, follows on the socket.

#pragma once

#include <atomic>
#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/host/remote/wire.hpp"
#include "framework/host/services/shared_memory.hpp"

namespace tessera {

enum class Arrival {
  kMessage,
  kLate,  // nothing came within the limit
  kGone   // the other end is gone, or sent nonsense
};

// One end of the two lanes.  One thread at a time; a message is answered before
// the next is sent.
class Mailbox {
 public:
  enum class End { kHost, kChild };

  Mailbox() = default;
  // Errors: RESOURCE_EXHAUSTED.
  static Result<Mailbox> create();
  // Errors: INVALID_ARGUMENT if `fd` is no such memory; RESOURCE_EXHAUSTED.
  static Result<Mailbox> open(FileDescriptor fd);

  int fd() const { return memory_.fd(); }

  // False if the other end is gone.
  bool send(int socket, const WireWriter& message);

  // Waits at most `limit_ns` (UINT64_MAX: for ever), and no longer than until
  // `gone` and wake().
  Arrival receive(int socket, uint64_t limit_ns, const std::atomic<bool>& gone,
                  WireReader& out_message);

  // Ends a receive() at this end that has seen `gone`.  Any thread.
  void wake();

 private:
  struct Lane;

  Mailbox(SharedMemory memory, End end)
      : memory_(std::move(memory)), end_(end) {}
  Lane& lane(End written_by) const;

  SharedMemory memory_;
  End end_ = End::kHost;
  uint32_t received_ = 0;
  uint64_t last_wait_ns_ = 0;  // for a message, until this end had it
};

}  // namespace tessera
