// SPDX-License-Identifier: Apache-2.0
//
// Segments that cost alike, and limits on how many of them are at a site: a mix
// of plans has parts of segments there, a plan has whole ones.

#pragma once

#include <cstdint>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Segments are of one kind if their items have the same options at the same
// costs; what else they use may differ.
class SegmentKinds {
 public:
  explicit SegmentKinds(const Chain& chain);

  uint32_t num() const { return static_cast<uint32_t>(sizes_.size()); }
  uint32_t of(size_t segment) const { return kinds_[segment]; }
  // How many segments are of that kind.
  uint32_t size(uint32_t kind) const { return sizes_[kind]; }

 private:
  std::vector<uint32_t> kinds_;  // by segment
  std::vector<uint32_t> sizes_;
};

// At most, or at least, `level` segments of a kind are at a site in a phase, or
// the phase goes that often from one site to another.
struct CountLimit {
  uint32_t kind = kNone;  // of segments; kNone: times are counted
  uint32_t phase = 0;
  uint32_t from = kNone;  // of times; kNone: from any other
  uint32_t site = 0;
  uint32_t level = 0;
  bool at_least = false;

  // Such limits are rows like others: sign() * count <= capacity().
  double sign() const { return at_least ? -1.0 : 1.0; }
  double capacity() const { return sign() * level; }
  // Whether going between these sites counts.
  bool counts(uint32_t from_site, uint32_t to_site) const {
    return kind == kNone && to_site == site && from_site != site &&
           (from == kNone || from_site == from);
  }
};

}  // namespace tessera::planner
