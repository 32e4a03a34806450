// SPDX-License-Identifier: Apache-2.0
//
// The shared L2 as the streams see it: how much of each region it holds.

#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

// Of the capacity, which dirty bytes leave to others: a set whose lines are all
// dirty would have no room for what is read.  When they fill the rest, they are
// written back beside what is read until only a quarter is dirty: controllers
// drain writes between a high mark and a low one.
inline constexpr double kCleanShare = 0.25;
inline constexpr double kDrainedShare = 0.25;
// Dirty, in the mean, where more is written than DRAM has idle time for.
inline constexpr double kMeanDirtyShare = (1 - kCleanShare + kDrainedShare) / 2;

// What one access cost beyond L2 itself.
struct L2Access {
  double miss_share = 0;  // of its bytes
  double dram_read_bytes = 0;
  double dram_write_bytes = 0;  // dirty bytes that had to leave
};

// A cache of lines with random replacement, in the limit of small lines: what
// comes in takes its place from all clean bytes alike, so of every region an
// exponentially shrinking share is left.  A region is what one instruction
// names; tiles of one launch are cut alike, so two accesses touch the same
// region or different ones.
//
// Written bytes stay until DRAM has time for them, or too many are dirty; those
// that were not written for longest leave first.
// A clean byte takes `clean_cost` bytes: L2 is built of halves, and what cores
// of both read lies in both.
//
// What a launch wrote may be read back in other pieces: such a read hits by the
// share of the tensor's written bytes that are still held, or as what was
// written near it last; what it brings back is a region of its own.
class L2Cache {
 public:
  L2Cache(double capacity_bytes, double clean_cost)
      : capacity_(capacity_bytes), clean_cost_(clean_cost) {}

  L2Access read(uint64_t region, double bytes);
  L2Access write(uint64_t region, double bytes);

  // Cleans the oldest dirty bytes, in all at most `spare_bytes` that DRAM could
  // have taken since the last call; returns what it took.
  double write_back(double spare_bytes);

  // Bytes of its capacity in use.
  double held_bytes() const { return clean_ * clean_cost_ + dirty_; }

  // GM addresses carry the tensor they belong to.
  static uint64_t tensor_of(uint64_t region) { return region >> kTensorBits; }

 private:
  // Clean bytes as of a moment of decay_.
  struct Clean {
    double bytes = 0;
    double decay = 1;
    int64_t epoch = 0;
  };
  struct Piece {
    int64_t time = 0;  // of its last write, as a count of writes
    double bytes = 0;
  };
  struct Written {
    double bytes = 0;
    double dirty = 0;
    Clean clean;
    std::deque<Piece> pieces;  // that are dirty, the oldest first
  };

  double left(const Clean& clean) const {
    return clean.epoch == epoch_ ? clean.bytes * decay_ / clean.decay : 0;
  }
  void add(Clean& clean, double bytes) {
    clean = {left(clean) + bytes, decay_, epoch_};
  }
  void make_room(double incoming, L2Access& access);
  void clean_oldest(double bytes);
  // Takes bytes from the oldest pieces, as far as there are any.
  double kept_share(const Written& tensor, uint64_t region) const;
  static double take(Written& tensor, double bytes);

  double capacity_;
  double clean_cost_;
  double clean_ = 0;  // bytes, once
  double dirty_ = 0;
  bool is_draining_ = false;
  double decay_ = 1;  // of a clean byte since the epoch began
  int64_t epoch_ = 0;
  std::unordered_map<uint64_t, Clean> regions_;
  std::unordered_map<uint64_t, Written> written_;  // by tensor
  // By the megabyte that a written region begins in: a byte of the last one.
  std::unordered_map<uint64_t, Clean> last_written_;
  // Pieces of written tensors that came back from DRAM.
  std::unordered_map<uint64_t, Clean> read_back_;
  int64_t writes_ = 0;
};

}  // namespace tessera::npu
