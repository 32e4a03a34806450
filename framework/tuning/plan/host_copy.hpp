// SPDX-License-Identifier: Apache-2.0
//
// Copying between memory that the host sees, as a session does where its
// programs meet, and what a device loses that computes meanwhile.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace tessera {

// Of a copy of so many bytes with nothing beside, the shortest of a few; in ns.
double host_copy_ns(uint64_t bytes);

// Copies the same bytes again and again on a thread of its own, until it is
// stopped; at least once.
class HostCopying {
 public:
  // Copying has begun when this returns.
  //
  // bytes  above 1
  explicit HostCopying(uint64_t bytes);
  ~HostCopying();
  HostCopying(const HostCopying&) = delete;
  HostCopying& operator=(const HostCopying&) = delete;

  // Returns  how many copies were made
  uint64_t stop();

 private:
  void copy_until_stopped();

  std::vector<std::byte> source_;
  std::vector<std::byte> target_;
  std::atomic<bool> is_begun_{false};
  std::atomic<bool> is_stopped_{false};
  uint64_t copies_ = 0;
  std::thread thread_;  // the last one: it uses all others
};

// The part of copying, 0 to 1, through which a device went on computing: all of
// it, but for what its run took longer than by itself.
//
// copied_ns  what the copies that were made beside the run take by themselves
double copy_overlap(double alone_ns, double beside_ns, double copied_ns);

}  // namespace tessera
