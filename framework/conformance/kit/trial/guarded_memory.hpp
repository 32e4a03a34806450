// SPDX-License-Identifier: Apache-2.0
//
// Memory between pages that nobody may touch: a plugin that writes past a
// buffer, or into one that is gone, is caught in the act.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/loading/named_library.hpp"

namespace tessera::conformance {

// Zeroed bytes whose end is as near to the page behind as the alignment lets
// it; what is left of their own pages holds a pattern.  Moves only.
class GuardedMemory {
 public:
  GuardedMemory() = default;
  // `label` names the memory when it is misused: "tensor y".
  // Errors: RESOURCE_EXHAUSTED.
  static Result<GuardedMemory> create(uint64_t bytes, uint64_t alignment,
                                      std::string_view label);
  GuardedMemory(GuardedMemory&& other) noexcept;
  GuardedMemory& operator=(GuardedMemory&& other) noexcept;
  ~GuardedMemory();

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  // INTERNAL if the pattern around the bytes was written to.
  Status check() const;
  // From now on any access is a fault.
  void forbid();

 private:
  std::byte* pages_ = nullptr;  // the guard pages included
  uint64_t page_bytes_ = 0;
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  size_t slot_ = 0;  // in the table of describe_fault
};

// What lies at `address`: "4 bytes past the end of tensor y"; empty if it is
// nothing of GuardedMemory's.  May be called by a signal handler: writes to
// `out` of `capacity` bytes.
void describe_fault(const void* address, char* out, size_t capacity);

// A HostAllocator over GuardedMemory that counts, and fails when told to.
class GuardedAllocator final : public HostAllocator {
 public:
  void* alloc(uint64_t bytes, uint64_t alignment) override;
  void free(void* memory) override;

  // The k-th alloc from now returns null, once; 0: none does.
  void fail_at(uint64_t k);
  bool has_failed() const;
  // No alloc fails any more.
  void stop_failing();
  // Pieces that were not freed.
  size_t num_live() const;
  uint64_t num_allocs() const;
  // What was done wrong so far: free of unknown memory, patterns overwritten.
  Status check() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void*, GuardedMemory> live_;
  std::deque<GuardedMemory> freed_;  // forbidden, so that use after free faults
  uint64_t num_allocs_ = 0;
  uint64_t fail_at_ = 0;  // of num_allocs_; 0: never
  bool failed_ = false;
  std::string misuse_;
};

}  // namespace tessera::conformance
