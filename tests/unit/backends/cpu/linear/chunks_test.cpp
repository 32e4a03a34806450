// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/chunks.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "tests/unit/backends/cpu/ops/test_threads.hpp"

namespace tessera::cpu {
namespace {

TEST(ChunkRange, GivesFromBothEnds) {
  ChunkRange range;
  range.reset(3, 6);
  EXPECT_EQ(range.take_last(), 5);
  EXPECT_EQ(range.take_first(), 3);
  EXPECT_EQ(range.take_last(), 4);
  EXPECT_EQ(range.take_first(), ChunkRange::kNone);
  EXPECT_EQ(range.take_last(), ChunkRange::kNone);
}

TEST(ChunkRange, HoldsNumbersOf32Bits) {
  ChunkRange range;
  range.reset(0xfffffffd, 0xffffffff);
  EXPECT_EQ(range.take_first(), 0xfffffffd);
  EXPECT_EQ(range.take_last(), 0xfffffffe);
  EXPECT_EQ(range.take_first(), ChunkRange::kNone);
}

// How often each chunk was handed out, and whether two calls of a worker
// overlapped or its number was too large.
struct Seen {
  std::vector<int> times;
  bool overlaps = false;
};

Seen count_chunks(uint32_t num_threads, int64_t num_chunks) {
  const TestThreads threads(num_threads);
  std::vector<std::atomic<int>> times(static_cast<size_t>(num_chunks));
  std::vector<std::atomic<int>> inside(num_threads);
  std::atomic<bool> overlaps{false};
  for_each_chunk(threads.parallel(), num_chunks,
                 [&](int64_t chunk, int64_t worker) {
                   auto& mine = inside.at(static_cast<size_t>(worker));
                   if (mine.fetch_add(1) != 0) overlaps = true;
                   times.at(static_cast<size_t>(chunk)).fetch_add(1);
                   mine.fetch_sub(1);
                 });
  return {{times.begin(), times.end()}, overlaps};
}

TEST(ForEachChunk, HandsOutEachOnce) {
  // 100 threads are more than there are ranges.
  for (const uint32_t num_threads : {1U, 2U, 3U, 7U, 100U}) {
    for (const int64_t num_chunks : {0, 1, 2, 6, 129, 1000}) {
      const Seen seen = count_chunks(num_threads, num_chunks);
      EXPECT_EQ(seen.times,
                std::vector<int>(static_cast<size_t>(num_chunks), 1))
          << num_threads << " threads";
      EXPECT_FALSE(seen.overlaps) << num_threads << " threads";
    }
  }
}

// A worker that never comes leaves its range to the others.
TEST(ForEachChunk, HelpsAWorkerThatIsLate) {
  Parallel parallel;
  parallel.num_threads = 4;
  std::vector<int64_t> chunks;
  std::vector<int64_t> workers;
  for_each_chunk(parallel, 8, [&](int64_t chunk, int64_t worker) {
    chunks.push_back(chunk);
    workers.push_back(worker);
  });
  EXPECT_EQ(chunks, (std::vector<int64_t>{0, 1, 3, 2, 5, 4, 7, 6}));
  EXPECT_EQ(workers, std::vector<int64_t>(8, 0));
}

}  // namespace
}  // namespace tessera::cpu
