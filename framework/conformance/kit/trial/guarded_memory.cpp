// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/guarded_memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <utility>

namespace tessera::conformance {
namespace {

constexpr std::byte kPattern{0xc5};
// Freed pieces that stay forbidden.
constexpr size_t kMaxFreed = 1024;
constexpr size_t kLabelBytes = 40;
// A plugin that is told nonsense may ask for more than there is.
constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

uint64_t page_size() {
  static const auto size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Read by a signal handler, so it is an array that never moves.
struct Slot {
  std::atomic<uintptr_t> pages{0};
  std::atomic<uintptr_t> pages_end{0};
  std::atomic<uintptr_t> data{0};
  std::atomic<uintptr_t> data_end{0};
  std::atomic<bool> freed{false};
  std::array<char, kLabelBytes> label{};
};
constexpr size_t kNumSlots = 16384;
std::array<Slot, kNumSlots>& slots() {
  static std::array<Slot, kNumSlots> instance;
  return instance;
}

// A free slot; kNumSlots if there is none.
size_t take_slot(uintptr_t pages) {
  static std::atomic<size_t> next{0};
  for (size_t i = 0; i < kNumSlots; ++i) {
    const size_t slot = (next.fetch_add(1) + i) % kNumSlots;
    uintptr_t unused = 0;
    if (slots()[slot].pages.compare_exchange_strong(unused, pages)) return slot;
  }
  return kNumSlots;
}

bool holds_pattern(const std::byte* begin, const std::byte* end) {
  return std::all_of(begin, end, [](std::byte b) { return b == kPattern; });
}

}  // namespace

Result<GuardedMemory> GuardedMemory::create(uint64_t bytes, uint64_t alignment,
                                            std::string_view label) {
  const uint64_t page = page_size();
  const uint64_t least = std::max<uint64_t>(alignment, 1);
  const uint64_t inner =
      round_up(std::max<uint64_t>(bytes, 1) + (least > page ? least : 0), page);
  void* pages = mmap(nullptr, inner + 2 * page, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    return Status(TSR_RESOURCE_EXHAUSTED,
                  fmt::format("no memory for {} guarded bytes", bytes));
  }
  GuardedMemory memory;
  memory.pages_ = static_cast<std::byte*>(pages);
  memory.page_bytes_ = inner + 2 * page;
  memory.slot_ = kNumSlots;
  std::byte* begin = memory.pages_ + page;
  std::byte* end = begin + inner;
  if (mprotect(begin, inner, PROT_READ | PROT_WRITE) != 0) {
    return Status(TSR_RESOURCE_EXHAUSTED, "mprotect failed");
  }
  const auto last = reinterpret_cast<uintptr_t>(end) - bytes;
  memory.data_ = reinterpret_cast<std::byte*>(last / least * least);
  memory.bytes_ = bytes;
  std::fill(begin, memory.data_, kPattern);
  std::fill(memory.data_ + bytes, end, kPattern);
  memory.slot_ = take_slot(reinterpret_cast<uintptr_t>(pages));
  if (memory.slot_ < kNumSlots) {
    Slot& slot = slots()[memory.slot_];
    slot.pages_end = reinterpret_cast<uintptr_t>(end + page);
    slot.data = reinterpret_cast<uintptr_t>(memory.data_);
    slot.data_end = slot.data + bytes;
    slot.freed = false;
    const size_t length = std::min(label.size(), kLabelBytes - 1);
    std::memcpy(slot.label.data(), label.data(), length);
    slot.label[length] = '\0';
  }
  return memory;
}

GuardedMemory::GuardedMemory(GuardedMemory&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)),
      page_bytes_(other.page_bytes_),
      data_(other.data_),
      bytes_(other.bytes_),
      slot_(other.slot_) {}

GuardedMemory& GuardedMemory::operator=(GuardedMemory&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(slot_, other.slot_);
  return *this;
}

GuardedMemory::~GuardedMemory() {
  if (pages_ == nullptr) return;
  if (slot_ < kNumSlots) slots()[slot_].pages = 0;
  munmap(pages_, page_bytes_);
}

Status GuardedMemory::check() const {
  if (pages_ == nullptr) return {};
  const std::byte* begin = pages_ + page_size();
  const std::byte* end = pages_ + page_bytes_ - page_size();
  const char* label = slot_ < kNumSlots ? slots()[slot_].label.data() : "";
  if (!holds_pattern(begin, data_)) {
    return {TSR_INTERNAL, fmt::format("wrote before the start of {}", label)};
  }
  if (!holds_pattern(data_ + bytes_, end)) {
    return {TSR_INTERNAL, fmt::format("wrote past the end of {}", label)};
  }
  return {};
}

void GuardedMemory::forbid() {
  mprotect(pages_, page_bytes_, PROT_NONE);
  madvise(pages_, page_bytes_, MADV_DONTNEED);
  if (slot_ < kNumSlots) slots()[slot_].freed = true;
}

void describe_fault(const void* address, char* out, size_t capacity) {
  if (capacity != 0) out[0] = '\0';
  const auto place = reinterpret_cast<uintptr_t>(address);
  for (const Slot& slot : slots()) {
    const uintptr_t pages = slot.pages;
    if (pages == 0 || place < pages || place >= slot.pages_end) continue;
    const char* where = "inside";
    uintptr_t distance = 0;
    if (slot.freed) {
      where = "in memory that was freed:";
    } else if (place >= slot.data_end) {
      where = "past the end of";
      distance = place - slot.data_end;
    } else if (place < slot.data) {
      where = "before the start of";
      distance = slot.data - place;
    }
    std::snprintf(out, capacity, "access %zu bytes %s %s",
                  static_cast<size_t>(distance), where, slot.label.data());
    return;
  }
}

void* GuardedAllocator::alloc(uint64_t bytes, uint64_t alignment) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++num_allocs_;
  if (fail_at_ != 0 && num_allocs_ == fail_at_) {
    failed_ = true;
    return nullptr;
  }
  if (bytes > kMaxBytes) return nullptr;
  Result<GuardedMemory> memory =
      GuardedMemory::create(bytes, alignment, "the plugin's memory");
  if (!memory.ok()) return nullptr;
  // Plugins must not rely on zeros.
  std::memset(memory->data(), 0xa7, bytes);
  void* data = memory->data();
  live_.emplace(data, std::move(*memory));
  return data;
}

void GuardedAllocator::free(void* memory) {
  if (memory == nullptr) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = live_.find(memory);
  if (found == live_.end()) {
    misuse_ = "freed memory twice, or memory that is not the host's";
    return;
  }
  const Status status = found->second.check();
  if (!status.ok()) misuse_ = status.message();
  found->second.forbid();
  freed_.push_back(std::move(found->second));
  live_.erase(found);
  if (freed_.size() > kMaxFreed) freed_.pop_front();
}

void GuardedAllocator::fail_at(uint64_t k) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_at_ = k == 0 ? 0 : num_allocs_ + k;
  failed_ = false;
}

bool GuardedAllocator::has_failed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failed_;
}

void GuardedAllocator::stop_failing() { fail_at(0); }

size_t GuardedAllocator::num_live() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return live_.size();
}

uint64_t GuardedAllocator::num_allocs() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return num_allocs_;
}

Status GuardedAllocator::check() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!misuse_.empty()) return {TSR_INTERNAL, "plugin's memory: " + misuse_};
  for (const auto& [memory, guarded] : live_) {
    TSR_RETURN_IF_ERROR(guarded.check());
  }
  return {};
}

}  // namespace tessera::conformance
