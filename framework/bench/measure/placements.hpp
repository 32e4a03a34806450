// SPDX-License-Identifier: Apache-2.0
//
// The same op several times over, each in memory of its own.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/timed/timed_op.hpp"

namespace tessera::bench {

// Where buffers lie decides which sets of a cache they share, and moves the
// time of a small op by several percent.  A process that places its op once
// times one case of that again and again; the next process meets another.  So
// every sample has a placement of its own, as long as the device has room and
// all of them together take no more than kMostBytes, and the first ones again
// then.
//
// One thread at a time.
//
// Source  Mytkowicz et al., "Producing wrong data without doing anything
//         obviously wrong!", ASPLOS 2009, sections 4 and 7 (randomized setups)
class Placements {
 public:
  static constexpr uint64_t kMostBytes = uint64_t{256} << 20;
  using Make = std::function<Result<std::unique_ptr<TimedOp>>()>;

  // Makes the first.
  //
  // Errors  those of `make`
  static Result<Placements> create(Make make);

  TimedOp& first() const { return *placed_.front(); }
  size_t size() const { return placed_.size(); }

  // The placement of the next sample, which has just run twice if it is not
  // that of the sample before.
  //
  // Errors  those of making and running it
  Result<TimedOp*> next();

  // What each placement wrote last is what the reference says.
  //
  // Errors  DATA_LOSS, naming the element
  Status check() const;

 private:
  explicit Placements(Make make) : make_(std::move(make)) {}
  Status add();

  Make make_;
  std::vector<std::unique_ptr<TimedOp>> placed_;
  size_t most_ = 1;
  size_t samples_ = 0;
};

}  // namespace tessera::bench
