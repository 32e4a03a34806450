// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/bench/bench_memory.hpp"

#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tessera::cpu {

Memory::~Memory() { std::free(data_); }

void Memory::resize(size_t bytes) {
  constexpr size_t kPage = size_t{2} << 20;
  const size_t rounded = (bytes + kPage) / kPage * kPage;
  std::free(data_);
  data_ = static_cast<std::byte*>(std::aligned_alloc(kPage, rounded));
  if (data_ == nullptr) std::abort();
#if defined(__linux__)
  madvise(data_, rounded, MADV_HUGEPAGE);
#endif
  std::memset(data_, 1, rounded);
}

}  // namespace tessera::cpu
