// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/validation/widening_sweep.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {
namespace {

constexpr std::array<int, 4> kRows = {1, 16, 256, 2048};

// N and K of projections from small models to large ones.
struct Sides {
  int64_t N;
  int64_t K;
};
constexpr std::array<Sides, 4> kWeights = {
    {{1024, 4096}, {4096, 4096}, {12288, 4096}, {4096, 12288}}};

double time_ns(const Profile& profile, Gemm gemm, Scheme scheme) {
  gemm.scheme = scheme;
  return simulate(profile, gemm).time_ns;
}

}  // namespace

std::vector<WideningGain> widening_gains(const std::string& name) {
  const Profile profile = load_profile(name);
  std::vector<WideningGain> gains;
  for (const int rows : kRows) {
    WideningGain gain{rows, std::numeric_limits<double>::infinity(), 0};
    for (const Sides& sides : kWeights) {
      Gemm gemm;
      gemm.M = rows;
      gemm.N = sides.N;
      gemm.K = sides.K;
      gemm.layout = WeightLayout::kNz;
      const double ratio = time_ns(profile, gemm, Scheme::kW16A16) /
                           time_ns(profile, gemm, Scheme::kW4A16);
      gain.least = std::min(gain.least, ratio);
      gain.most = std::max(gain.most, ratio);
    }
    gains.push_back(gain);
  }
  return gains;
}

}  // namespace tessera::npu
