// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/mailbox.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "framework/host/services/futex.hpp"

namespace tessera {
namespace {

// More than the record of a step has.
constexpr uint64_t kLaneBytes = uint64_t{64} << 10;

// The message is on the socket.
constexpr uint64_t kOnSocket = UINT64_MAX;

// A sleeper looks again this often, should a wake-up get lost with the process
// that owed it.
constexpr uint64_t kLookAgainNs = 500'000'000;

// A message that took longer than a spin and a wake-up did not come while
// spinning, and its like will not either.
constexpr uint64_t kWorthSpinningNs = 2 * kSpinNs;

using Clock = std::chrono::steady_clock;

uint64_t elapsed_ns(Clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(Clock::now() - begin).count());
}

}  // namespace

// What one end writes and the other reads.
struct Mailbox::Lane {
  alignas(64) uint32_t sent;      // messages so far
  alignas(64) uint32_t sleeping;  // the reader is in the kernel, or about to be
  uint64_t bytes;                 // of the message
  alignas(64) std::byte message[kLaneBytes];
};

Result<Mailbox> Mailbox::create() {
  TSR_ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::create("tessera-mailbox", 2 * sizeof(Lane)));
  return Mailbox(std::move(memory), End::kHost);
}

Result<Mailbox> Mailbox::open(FileDescriptor fd) {
  TSR_ASSIGN_OR_RETURN(SharedMemory memory,
                       SharedMemory::map(std::move(fd), 2 * sizeof(Lane)));
  memory.close_fd();
  return Mailbox(std::move(memory), End::kChild);
}

Mailbox::Lane& Mailbox::lane(End written_by) const {
  auto* lanes = reinterpret_cast<Lane*>(memory_.data());
  return lanes[written_by == End::kHost ? 0 : 1];
}

bool Mailbox::send(int socket, const WireWriter& message) {
  Lane& out = lane(end_);
  const bool fits =
      message.fds().empty() && message.bytes().size() <= kLaneBytes;
  if (fits && !message.bytes().empty()) {
    std::memcpy(out.message, message.bytes().data(), message.bytes().size());
  }
  out.bytes = fits ? message.bytes().size() : kOnSocket;
  // Sequentially consistent, like the reader's: either it sees the message
  // before it sleeps, or this sees that it sleeps.
  std::atomic_ref<uint32_t>(out.sent).fetch_add(1);
  if (std::atomic_ref<uint32_t>(out.sleeping).load() != 0) {
    futex_wake(&out.sent, 1, FutexScope::kShared);
  }
  return fits || send_message(socket, message);
}

Arrival Mailbox::receive(int socket, uint64_t limit_ns,
                         const std::atomic<bool>& gone,
                         WireReader& out_message) {
  Lane& in = lane(end_ == End::kHost ? End::kChild : End::kHost);
  const std::atomic_ref<uint32_t> sent(in.sent);
  std::atomic_ref<uint32_t> sleeping(in.sleeping);
  const Clock::time_point begin = Clock::now();
  if (last_wait_ns_ <= kWorthSpinningNs) {
    for (Spinner spinner;
         sent.load(std::memory_order_acquire) == received_ && spinner.spin();) {
    }
  }
  while (sent.load() == received_) {
    if (gone.load()) return Arrival::kGone;
    const uint64_t passed = elapsed_ns(begin);
    if (passed >= limit_ns) return Arrival::kLate;
    sleeping.store(1);
    if (sent.load() == received_ && !gone.load()) {
      futex_wait(&in.sent, received_, std::min(limit_ns - passed, kLookAgainNs),
                 FutexScope::kShared);
    }
    sleeping.store(0);
  }
  last_wait_ns_ = elapsed_ns(begin);
  ++received_;
  // Read once: the other end may change it at any time.
  const uint64_t bytes = std::atomic_ref<uint64_t>(in.bytes).load();
  if (bytes == kOnSocket) {
    return receive_message(socket, out_message) ? Arrival::kMessage
                                                : Arrival::kGone;
  }
  if (bytes > kLaneBytes) return Arrival::kGone;
  std::byte* place = out_message.reset(bytes);
  if (bytes != 0) std::memcpy(place, in.message, bytes);
  return Arrival::kMessage;
}

void Mailbox::wake() {
  const Lane& in = lane(end_ == End::kHost ? End::kChild : End::kHost);
  futex_wake(&in.sent, 1, FutexScope::kShared);
}

}  // namespace tessera
