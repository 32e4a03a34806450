// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "framework/bench/limits/host_limits.hpp"
#include "framework/bench/limits/peak_loops.hpp"
#include "framework/bench/limits/read_loops.hpp"

namespace tessera::bench {
namespace {

TEST(PeakLoops, EachRunsHere) {
  const std::vector<PeakLoop> loops = peak_loops();
  ASSERT_FALSE(loops.empty());
  for (const PeakLoop& loop : loops) {
    SCOPED_TRACE(loop.name);
    EXPECT_GT(loop.ops_per_step, 0.0);
    loop.run(0);
    loop.run(3);
  }
}

TEST(ReadLoops, StayInsideTheirMemory) {
  for (const ReadLoop& loop : read_loops()) {
    for (const uint64_t bytes : {0, 63, 64, 512, 4096 + 128}) {
      SCOPED_TRACE(testing::Message()
                   << loop.streams << " streams, " << bytes << " bytes");
      // Exactly as much as it may read, so that a sanitizer sees more.
      auto* data = static_cast<std::byte*>(
          std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64));
      ASSERT_NE(data, nullptr);
      loop.run(data, bytes);
      std::free(data);
    }
  }
}

TEST(HostLimits, RemembersWhatItMeasured) {
  HostLimits limits(1);
  EXPECT_TRUE(limits.all().empty());
  const Limit first = limits.peak(Compute::kF32);
  EXPECT_GT(first.per_ns, 0.0);
  EXPECT_EQ(limits.peak(Compute::kF32).per_ns, first.per_ns);
  EXPECT_GE(limits.peak(Compute::kF32, Probe::kAgain).per_ns, first.per_ns);
  // What is multiplied in f32 can hold bf16.
  EXPECT_GE(limits.peak(Compute::kBf16).per_ns,
            limits.peak(Compute::kF32).per_ns);
  EXPECT_GT(limits.read(1 << 16).per_ns, 0.0);
  EXPECT_EQ(limits.read(1 << 16).per_ns, limits.read((1 << 16) + 5).per_ns);
  EXPECT_GT(limits.copy(1 << 18).per_ns, 0.0);
}

TEST(ReadWatch, BestIsTheFastestOfItsSamples) {
  HostLimits limits(1);
  ReadWatch watch = limits.watch_read(1 << 16);
  EXPECT_FALSE(watch.best().how.empty());
  double fastest = watch.best().per_ns;
  EXPECT_GT(fastest, 0.0);
  for (int i = 0; i < 3; ++i) {
    const double now = watch.sample();
    EXPECT_GT(now, 0.0);
    fastest = std::max(fastest, now);
  }
  EXPECT_EQ(watch.best().per_ns, fastest);
}

}  // namespace
}  // namespace tessera::bench
