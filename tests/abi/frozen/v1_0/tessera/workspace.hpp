// SPDX-License-Identifier: Apache-2.0
//
// tessera/workspace.hpp - places transient tensors of a program in one block of
// memory, reusing bytes whose tensor is dead.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tessera::sdk {

// One tensor: needed from op `first` to op `last`, both included.
struct Lifetime {
  uint32_t first;
  uint32_t last;
  uint64_t bytes;
};

struct WorkspacePlan {
  uint64_t bytes = 0;             // of the whole block
  std::vector<uint64_t> offsets;  // of each lifetime, multiples of alignment
};

// Gives each lifetime an offset so that no two that are alive at once overlap.
// Largest first, each at the lowest offset that is free.
// Source: "greedy by size", Pisarchyk and Lee, arXiv:2001.03288, section 5.
inline WorkspacePlan plan_workspace(const std::vector<Lifetime>& lifetimes,
                                    uint64_t alignment) {
  std::vector<uint32_t> order(lifetimes.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return lifetimes[a].bytes > lifetimes[b].bytes;
  });

  WorkspacePlan plan;
  plan.offsets.resize(lifetimes.size());
  std::vector<uint32_t> placed;  // by offset
  for (const uint32_t i : order) {
    const Lifetime& wanted = lifetimes[i];
    const uint64_t bytes =
        (wanted.bytes + alignment - 1) / alignment * alignment;
    uint64_t offset = 0;
    for (const uint32_t j : placed) {
      const Lifetime& other = lifetimes[j];
      if (other.last < wanted.first || wanted.last < other.first) continue;
      if (plan.offsets[j] >= offset + bytes) break;
      const uint64_t end = plan.offsets[j] + (other.bytes + alignment - 1) /
                                                 alignment * alignment;
      offset = std::max(offset, end);
    }
    plan.offsets[i] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](uint32_t a, uint32_t b) {
                                     return plan.offsets[a] < plan.offsets[b];
                                   }),
                  i);
  }
  return plan;
}

}  // namespace tessera::sdk
