// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/guarded_memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace tessera::conformance {
namespace {

TEST(GuardedMemory, EndsAsNearToItsGuardAsAlignmentAllows) {
  for (const uint64_t alignment : {1U, 4U, 64U, 4096U}) {
    for (const uint64_t bytes : {1U, 63U, 64U, 65U, 4096U, 5000U}) {
      const auto memory = GuardedMemory::create(bytes, alignment, "it");
      ASSERT_TRUE(memory.ok());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % alignment, 0U);
      const auto end = reinterpret_cast<uintptr_t>(memory->data()) + bytes;
      EXPECT_LT((4096 - end % 4096) % 4096, alignment);
      EXPECT_TRUE(memory->check().ok());
    }
  }
}

TEST(GuardedMemory, SeesWhatIsWrittenInItsOwnPages) {
  const auto memory = GuardedMemory::create(60, 64, "it");
  ASSERT_TRUE(memory.ok());
  memory->data()[60] = std::byte{1};
  EXPECT_EQ(memory->check().message(), "wrote past the end of it");
  memory->data()[60] = std::byte{0xc5};
  memory->data()[-1] = std::byte{1};
  EXPECT_EQ(memory->check().message(), "wrote before the start of it");
}

TEST(GuardedMemory, SaysWhatAnAddressIs) {
  const auto memory = GuardedMemory::create(64, 64, "tensor y");
  ASSERT_TRUE(memory.ok());
  std::array<char, 100> text{};
  describe_fault(memory->data() + 64 + 8, text.data(), text.size());
  EXPECT_STREQ(text.data(), "access 8 bytes past the end of tensor y");
  describe_fault(text.data(), text.data(), text.size());
  EXPECT_STREQ(text.data(), "");
}

TEST(GuardedAllocator, FailsWhereItIsTold) {
  GuardedAllocator allocator;
  allocator.fail_at(2);
  void* first = allocator.alloc(10, 1);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(allocator.alloc(10, 1), nullptr);
  EXPECT_TRUE(allocator.has_failed());
  void* third = allocator.alloc(10, 1);
  EXPECT_NE(third, nullptr);
  EXPECT_EQ(allocator.num_live(), 2U);
  allocator.free(first);
  allocator.free(third);
  EXPECT_EQ(allocator.num_live(), 0U);
  EXPECT_TRUE(allocator.check().ok());
}

TEST(GuardedAllocator, SeesMemoryThatIsFreedTwice) {
  GuardedAllocator allocator;
  void* memory = allocator.alloc(10, 1);
  allocator.free(memory);
  allocator.free(memory);
  EXPECT_FALSE(allocator.check().ok());
}

}  // namespace
}  // namespace tessera::conformance
