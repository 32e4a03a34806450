// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

constexpr uint64_t kWeightBytes = 1000;

Cell cell(uint32_t device, uint32_t scheme) {
  const double share = scheme == 0 ? 1.0 : 0.5;
  const double ns = (device == 0 ? 1000.0 : 100.0) * share;
  Cell result;
  result.host = device;
  result.scheme = scheme;
  result.kernel = "linear";
  result.layout = "rows";
  result.parts.push_back(
      {device,
       0,
       64,
       static_cast<uint64_t>(static_cast<double>(kWeightBytes) * share),
       {}});
  result.costs = {Cost{10.0 * ns, 5.0, 16, "measured"},
                  Cost{ns, 1.0, 16, "measured"}};
  return result;
}

}  // namespace

Problem small_problem() {
  Problem problem;
  problem.workload = {16, 4, 1};
  problem.model_fingerprint = "small";
  problem.pools = {{"big", 100'000}, {"fast", 1'400}};
  problem.devices = {{"big", false, 0, 0, 8, "b"},
                     {"fast", true, 1, 1, 8, "f"}};
  problem.transfers = {{0, 1, {{0, 50.0}, {1000, 150.0}}},
                       {1, 0, {{0, 50.0}, {1000, 150.0}}}};
  problem.schemes = {"exact", "half"};
  problem.linear_classes = {{"linear",
                             64,
                             64,
                             {cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)},
                             {{1, "other", "no kernel"}}}};
  SegmentClass own{"layer", true, {}, {}};
  for (uint32_t device = 0; device < 2; ++device) {
    own.sites.push_back(
        {device, 10, {Cost{20.0, 1.0, 8, "measured"}, Cost{5.0, 1.0, 8, ""}}});
  }
  problem.segment_classes = {own};
  for (int32_t layer = 0; layer < 2; ++layer) {
    const std::string name = "layers." + std::to_string(layer);
    SegmentModel segment{name, layer, 0, {256, 16}, {}};
    for (const char* linear : {".up", ".down"}) {
      segment.linears.push_back({name + linear, 0, {0.0, 0.01}});
    }
    problem.segments.push_back(segment);
  }
  return problem;
}

}  // namespace tessera::planner
