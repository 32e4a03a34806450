// SPDX-License-Identifier: Apache-2.0
//
// What this machine's processor can do at best: the lines of its roofline.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "framework/bench/limits/limit.hpp"
#include "framework/bench/limits/peak_loops.hpp"
#include "framework/bench/limits/read_watch.hpp"
#include "framework/host/services/thread_pool.hpp"

namespace tessera::bench {

// Whether a limit that is known is measured again, to keep the better of both:
// what beats its limit has shown the probe to be disturbed.
enum class Probe { kOnce, kAgain };

// Measures when first asked, and remembers.  One thread at a time.
class HostLimits {
 public:
  // `num_threads` as kernels get; 0: one per core.
  explicit HostLimits(uint32_t num_threads);

  uint32_t num_threads() const { return pool_.num_threads(); }

  // Products of a kind; of bf16 those in f32, where that is more.
  Limit peak(Compute compute, Probe probe = Probe::kOnce);
  // Reads of the same `bytes` again and again, the best of 1, 4 and 8 streams a
  // thread over pages of 4 KiB and of 2 MiB.
  Limit read(uint64_t bytes, Probe probe = Probe::kOnce);
  // The same read, for those who take it in turn with what they time.
  ReadWatch watch_read(uint64_t bytes) { return {pool_, probe_bytes(bytes)}; }
  // How much memory is read for `bytes`: a power of two, or kColdBytes.
  static uint64_t probe_bytes(uint64_t bytes);
  // Copies of the same memory to the same place, `bytes` read and written.
  Limit copy(uint64_t bytes, Probe probe = Probe::kOnce);

  // How far the speed of the processor wanders while it does the same again and
  // again, as wander_of() says it of all probes together; 0 before the first.
  // Before and after what is timed, they show more of what passes meanwhile.
  double wander() const;
  // 1.6 seconds.
  void probe_wander();

  // Everything measured so far by its name.
  std::map<std::string, Limit> all() const;

  // Reads of more than half of these count as reads from memory.
  static constexpr uint64_t kColdBytes = uint64_t{3} << 29;  // 1.5 GiB

 private:
  Limit measure_peak(const PeakLoop& loop);
  Limit measure_copy(uint64_t bytes);

  // Steps of a loop that take `ns` or more on every thread at once.
  int64_t steps_for(const PeakLoop& loop, double ns);

  ThreadPool pool_;
  std::vector<PeakLoop> loops_;
  std::vector<double> wander_ns_;       // of probes, in order
  std::map<std::string, Limit> peaks_;  // by name of loop
  std::map<uint64_t, Limit> reads_;     // by bytes, a power of two
  std::map<uint64_t, Limit> copies_;    // likewise
};

}  // namespace tessera::bench
