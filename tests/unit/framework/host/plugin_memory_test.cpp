// SPDX-License-Identifier: Apache-2.0
//
// Pieces of chunks are memory like any other.

#include "framework/host/device/plugin_memory.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace tessera {
namespace {

struct Piece {
  unsigned char* data;
  size_t bytes;
  unsigned char mark;
};

Piece take(PluginMemory& memory, size_t bytes, uint64_t alignment,
           unsigned char mark) {
  auto* data = static_cast<unsigned char*>(memory.alloc(bytes, alignment));
  EXPECT_NE(data, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % alignment, 0U);
  std::memset(data, mark, bytes);
  return {data, bytes, mark};
}

bool is_intact(const Piece& piece) {
  for (size_t i = 0; i < piece.bytes; ++i) {
    if (piece.data[i] != piece.mark) return false;
  }
  return true;
}

TEST(PluginMemory, PiecesOfAllSizesDoNotOverlap) {
  PluginMemory memory;
  std::mt19937 rng(42);
  std::vector<Piece> pieces;
  for (int i = 0; i < 60; ++i) {
    const size_t bytes = size_t{1} << (rng() % 23);
    pieces.push_back(take(memory, bytes + rng() % 100, 64ULL << (i % 3),
                          static_cast<unsigned char>(i)));
    if (i % 3 == 2) {  // holes are left behind
      EXPECT_TRUE(is_intact(pieces.front()));
      memory.free(pieces.front().data);
      pieces.erase(pieces.begin());
    }
  }
  for (const Piece& piece : pieces) EXPECT_TRUE(is_intact(piece));
  for (const Piece& piece : pieces) memory.free(piece.data);
  EXPECT_EQ(memory.num_chunks(), 0U);
}

TEST(PluginMemory, MediumPiecesShareChunks) {
  PluginMemory memory;
  std::vector<Piece> pieces;
  for (int i = 0; i < 20; ++i) {
    pieces.push_back(take(memory, 1000000, 64, 7));
  }
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(memory.num_chunks(), 1U);
#endif
  for (const Piece& piece : pieces) memory.free(piece.data);
  EXPECT_EQ(memory.num_chunks(), 0U);
}

TEST(PluginMemory, RefusesWhatMakesNoSense) {
  PluginMemory memory;
  EXPECT_EQ(memory.alloc(100, 0), nullptr);
  EXPECT_EQ(memory.alloc(100, 48), nullptr);
  EXPECT_EQ(memory.alloc(UINT64_MAX, 64), nullptr);
  memory.free(nullptr);
  void* empty = memory.alloc(0, 64);
  EXPECT_NE(empty, nullptr);
  memory.free(empty);
}

TEST(PluginMemory, ThreadsMayTakeAndFreeAtOnce) {
  PluginMemory memory;
  std::vector<std::thread> threads;
  for (unsigned char t = 1; t <= 3; ++t) {
    threads.emplace_back([&memory, t] {
      for (int i = 0; i < 50; ++i) {
        const Piece piece = take(memory, 70000, 64, t);
        EXPECT_TRUE(is_intact(piece));
        memory.free(piece.data);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory.num_chunks(), 0U);
}

}  // namespace
}  // namespace tessera
