// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/runtime/staging_ring.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

namespace tessera::vulkan {

struct StagingRing::Slot {
  std::unique_ptr<Buffer> memory;
  PoolHandle pool;
  VkCommandBuffer commands = VK_NULL_HANDLE;  // of the pool
  uint64_t submitted = 0;                     // busy until this value
};

// What a slot has of a copy, from byte `at` of its memory.
struct StagingRing::Piece {
  HostCopy copy;
  uint64_t at;
};

// A slot for as long as nobody else may have it.
class StagingRing::Lease {
 public:
  Lease(StagingRing& ring, Slot* slot) : ring_(&ring), slot_(slot) {}
  Lease(Lease&& other) noexcept
      : ring_(other.ring_), slot_(std::exchange(other.slot_, nullptr)) {}
  Lease& operator=(Lease&&) = delete;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (slot_ != nullptr) ring_->give_back(slot_);
  }

  Slot& operator*() const { return *slot_; }
  Slot* operator->() const { return slot_; }

 private:
  StagingRing* ring_;
  Slot* slot_;
};

// Deals copies out to slots, in order.
class StagingRing::Cutter {
 public:
  Cutter(const std::vector<HostCopy>& copies, uint64_t slot_bytes)
      : copies_(copies), slot_bytes_(slot_bytes) {}

  // What the next slot takes; none when all is dealt out.
  std::vector<Piece> next() {
    constexpr uint64_t kAlignment = 16;
    std::vector<Piece> pieces;
    uint64_t at = 0;
    while (copy_ < copies_.size() && at < slot_bytes_) {
      const HostCopy& whole = copies_[copy_];
      const uint64_t bytes = std::min(whole.bytes - done_, slot_bytes_ - at);
      if (bytes != 0) {
        const BufferRange to{whole.device.buffer, whole.device.offset + done_};
        pieces.push_back({{whole.host + done_, to, bytes}, at});
      }
      done_ += bytes;
      at += (bytes + kAlignment - 1) / kAlignment * kAlignment;
      if (done_ < whole.bytes) continue;
      ++copy_;
      done_ = 0;
    }
    return pieces;
  }

 private:
  const std::vector<HostCopy>& copies_;
  uint64_t slot_bytes_;
  size_t copy_ = 0;
  uint64_t done_ = 0;  // of that copy
};

StagingRing::StagingRing(Gpu& gpu, uint64_t slot_bytes, uint32_t num_slots)
    : gpu_(gpu),
      lane_(gpu.plan().copy_lane()),
      slot_bytes_(slot_bytes),
      num_slots_(num_slots) {}

// Nothing runs: no copy returns before its end.
StagingRing::~StagingRing() = default;

void StagingRing::make_slots() {
  std::vector<Slot> slots(num_slots_);
  for (Slot& slot : slots) {
    slot.memory = std::make_unique<Buffer>(gpu_, slot_bytes_, Memory::kHost);
    slot.pool = gpu_.make_pool(lane_);
    slot.commands = allocate_commands(gpu_.device(), slot.pool.get());
  }
  slots_ = std::move(slots);
  for (Slot& slot : slots_) free_.push_back(&slot);
}

StagingRing::Slot* StagingRing::take_slot(bool must_wait) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (slots_.empty()) make_slots();
  if (must_wait) is_free_.wait(lock, [this] { return !free_.empty(); });
  if (free_.empty()) return nullptr;
  Slot* slot = free_.front();
  free_.pop_front();
  return slot;
}

void StagingRing::give_back(Slot* slot) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(slot);
  }
  is_free_.notify_one();
}

void StagingRing::wait_quietly(uint64_t value) {
  try {
    gpu_.require_alive();
    gpu_.wait(lane_, value);
  } catch (const std::exception&) {
    // Whoever waits so has a failure to tell already, or nobody to tell it.
    gpu_.settle();
  }
}

void StagingRing::submit(Slot& slot, const std::vector<Piece>& pieces,
                         Direction direction) {
  check_vk(vkResetCommandPool(gpu_.device(), slot.pool.get(), 0),
           "vkResetCommandPool");
  begin_commands(slot.commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  add_copy_barrier(slot.commands);
  for (const Piece& piece : pieces) {
    const Buffer& buffer = *piece.copy.device.buffer;
    const uint64_t on_device = buffer.origin() + piece.copy.device.offset;
    if (direction == Direction::kUp) {
      const VkBufferCopy region{piece.at, on_device, piece.copy.bytes};
      vkCmdCopyBuffer(slot.commands, slot.memory->buffer(), buffer.buffer(), 1,
                      &region);
    } else {
      const VkBufferCopy region{on_device, piece.at, piece.copy.bytes};
      vkCmdCopyBuffer(slot.commands, buffer.buffer(), slot.memory->buffer(), 1,
                      &region);
    }
  }
  add_copy_barrier(slot.commands);
  check_vk(vkEndCommandBuffer(slot.commands), "vkEndCommandBuffer");
  slot.submitted = gpu_.submit(lane_, slot.commands);
}

void StagingRing::upload(const std::vector<HostCopy>& copies) {
  uint64_t last = 0;
  Cutter cutter(copies, slot_bytes_);
  try {
    for (auto pieces = cutter.next(); !pieces.empty(); pieces = cutter.next()) {
      const Lease slot(*this, take_slot(true));
      gpu_.wait(lane_, slot->submitted);
      for (const Piece& piece : pieces) {
        std::memcpy(slot->memory->host() + piece.at, piece.copy.host,
                    piece.copy.bytes);
      }
      submit(*slot, pieces, Direction::kUp);
      last = slot->submitted;
    }
    gpu_.wait(lane_, last);
  } catch (...) {
    wait_quietly(last);
    throw;
  }
}

void StagingRing::download(const std::vector<HostCopy>& copies) {
  struct Copied {
    Lease slot;
    std::vector<Piece> pieces;
  };
  std::deque<Copied> running;
  const auto empty_oldest = [&] {
    const Copied& oldest = running.front();
    gpu_.wait(lane_, oldest.slot->submitted);
    for (const Piece& piece : oldest.pieces) {
      std::memcpy(piece.copy.host, oldest.slot->memory->host() + piece.at,
                  piece.copy.bytes);
    }
    running.pop_front();
  };
  Cutter cutter(copies, slot_bytes_);
  try {
    for (auto pieces = cutter.next(); !pieces.empty(); pieces = cutter.next()) {
      // Who has slots waits for no other, or two could wait for each other.
      Slot* taken = take_slot(running.empty());
      for (; taken == nullptr; taken = take_slot(running.empty())) {
        empty_oldest();
      }
      Lease slot(*this, taken);
      gpu_.wait(lane_, slot->submitted);
      submit(*slot, pieces, Direction::kDown);
      running.push_back({std::move(slot), std::move(pieces)});
    }
    while (!running.empty()) empty_oldest();
  } catch (...) {
    if (!running.empty()) wait_quietly(running.back().slot->submitted);
    throw;
  }
}

}  // namespace tessera::vulkan
