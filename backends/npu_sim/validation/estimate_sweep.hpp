// SPDX-License-Identifier: Apache-2.0
//
// The cost model against the machine over random problems of every kind.

#pragma once

#include <random>
#include <string>
#include <vector>

#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

enum class Family : uint8_t {
  kDecodeProduct,
  kPrefillProduct,
  kGroupedProduct,
  kDecodeAttention,
  kPrefillAttention,
  kDecodeLatent,
  kPrefillLatent,
  kRowOp,
  kCopy,
};
inline constexpr int kNumFamilies = 9;
const char* name_of(Family family);

// A problem that the profile can run: sizes round and odd, types, layouts,
// epilogues, groups, masks and numbers of cores.
Problem random_problem(const Profile& profile, Family family,
                       std::mt19937& rng);

struct EstimateErrors {
  Family family = Family::kDecodeProduct;
  int64_t count = 0;
  int64_t within = 0;  // 15 % of the machine's time
  double mean = 0;     // of |error|
  double worst = 0;    // signed
  std::string worst_problem;
};

// What the page shows is drawn from this; nobody looked at it while the model
// was made.
inline constexpr uint32_t kHeldOutSeed = 20261122;

// `each` problems of the family on each profile; the same ones for a seed.
EstimateErrors estimate_errors(const std::vector<std::string>& profiles,
                               Family family, int each,
                               uint32_t seed = kHeldOutSeed);

}  // namespace tessera::npu
