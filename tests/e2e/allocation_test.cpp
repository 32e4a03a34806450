// SPDX-License-Identifier: Apache-2.0
//
// A decode step allocates nothing: operator new of the whole process, plugins
// included, is counted.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/e2e/loaded_model.hpp"

namespace {
std::atomic<uint64_t> num_allocations{0};
}  // namespace

// All forms, or one library's new would meet another's delete.  Inlined on one
// side only, they would look mismatched to the compiler.
[[gnu::noinline]] void* operator new(size_t bytes,
                                     const std::nothrow_t&) noexcept {
  ++num_allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes) {
  void* memory = operator new(bytes, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(size_t bytes, std::align_val_t alignment) {
  ++num_allocations;
  const auto align = static_cast<size_t>(alignment);
  void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory,
                                       std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t,
                                       std::align_val_t) noexcept {
  std::free(memory);
}

namespace tessera::e2e {
namespace {

TEST(Allocation, ADecodeStepAllocatesNothing) {
  for (const char* scheme : {"f32", "bf16", "w8a8_dynamic", "w4a16"}) {
    LoadOptions options;
    options.scheme = scheme;
    auto loaded = load(default_model_folder(), options);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    Session& session = *(*loaded)->session;
    const auto ids = (*loaded)->encode("library for");
    const uint32_t sequence = *session.open_sequence();
    const Feed prefill{sequence, ids, TSR_PREFILL, 1};
    ASSERT_TRUE(session.step({&prefill, 1}).ok());
    const Feed decode{sequence, std::span(ids).first(1), TSR_DECODE, 1};
    ASSERT_TRUE(session.step({&decode, 1}).ok());  // warm
    const uint64_t before = num_allocations;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(session.step({&decode, 1}).ok());
    EXPECT_EQ(num_allocations - before, 0u) << scheme;
  }
}

}  // namespace
}  // namespace tessera::e2e
