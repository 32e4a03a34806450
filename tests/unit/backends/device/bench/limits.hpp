// SPDX-License-Identifier: Apache-2.0
//
// What a device can do at most, measured beside what it limits.

#pragma once

#include <cstdint>

namespace tessera::device_test {

// By the wall, and by the time that the process had the processors, all of them
// together: the second holds on a busy machine too, for code that never sleeps.
struct Rate {
  double wall = 0.0;
  double processor = 0.0;
};

// `work` in so many seconds.
inline Rate rate_of(double work, const Rate& seconds) {
  return {work / seconds.wall, work / seconds.processor};
}

// Time since it was made.
class Stopwatch {
 public:
  Stopwatch();
  // Seconds; those of `processor` divided by the device's compute units.
  Rate elapsed(uint32_t compute_units) const;

 private:
  static Rate now();

  Rate begin_;
};

// Measures anew at each call.
class Limits {
 public:
  virtual ~Limits() = default;
  virtual uint32_t compute_units() const = 0;
  // GB/s of memory that no cache holds, by the best of several ways to read it.
  virtual Rate read() = 0;
  // GFLOP/s of independent chains of f32 multiply-adds, as many as are best.
  virtual Rate fma() = 0;
  // The same of int8 products, where they are not made of f32.
  virtual Rate int8() { return fma(); }
};

}  // namespace tessera::device_test
