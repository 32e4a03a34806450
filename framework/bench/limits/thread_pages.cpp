// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/thread_pages.hpp"

#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tessera::bench {
namespace {

constexpr uint64_t kPageBytes = uint64_t{2} << 20;

}  // namespace

ThreadPages::ThreadPages(ThreadPool& pool, uint64_t bytes, bool large)
    : part_(bytes / pool.num_threads() / 4096 * 4096) {
  const uint64_t whole = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  data_ = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, whole));
  if (data_ == nullptr) return;
#if defined(__linux__)
  madvise(data_, whole, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
  static_cast<void>(large);
#endif
  time_on_all(pool,
              [this](uint32_t i) { std::memset(data_ + i * part_, 1, part_); });
}

ThreadPages::~ThreadPages() { std::free(data_); }

}  // namespace tessera::bench
