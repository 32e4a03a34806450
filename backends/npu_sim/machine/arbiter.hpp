// SPDX-License-Identifier: Apache-2.0
//
// Who gets how much of the shared memory system, at every moment.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::npu {

// Transfers in flight share DRAM and L2 fairly: each moves at its own core's
// rate unless a shared limit binds; then those that use it get equal shares,
// and what one cannot take goes to the others.
class Arbiter {
 public:
  // Bytes a cycle of the whole chip; l2_rate 0: no limit.
  Arbiter(double dram_rate, double l2_rate)
      : dram_rate_(dram_rate), l2_rate_(l2_rate) {}

  struct Transfer {
    double bytes = 0;
    double rate = 0;        // the core's own limit, bytes a cycle
    double dram_share = 0;  // DRAM bytes for each byte
    int64_t owner = 0;
  };

  // Requires  `now` never falls from call to call.
  void start(const Transfer& transfer, double now);

  bool is_idle() const { return active_.empty(); }
  // When the next transfer ends, if none is started before.
  double next_end() const { return next_end_; }
  // Ends it, and returns its owner.
  int64_t finish_next();

  // DRAM bytes that nobody asked for since the last call.
  double take_spare_bytes();

  // Bytes a cycle now: of all transfers, and of DRAM.
  double total_rate() const;
  double dram_use() const;

 private:
  struct Active {
    Transfer transfer;
    double left = 0;
    double rate = 0;
  };

  void advance(double now);
  void share();
  void share_dram();
  void share_l2();

  double dram_rate_;
  double l2_rate_;
  double now_ = 0;
  double spare_bytes_ = 0;
  double next_end_ = 0;
  size_t next_ = 0;
  std::vector<Active> active_;
};

}  // namespace tessera::npu
